"""What a build asks EC2 for, and what it leaves there: by the requests that were recorded."""

import json
import re
from typing import Any

import pytest

from bucketzip import __version__
from tests.image.bake import Baked


def only(image: Baked, action: str) -> dict[str, str]:
    (asked,) = image.asked.requests(action)
    return asked


def tags(asked: dict[str, str], kind: str) -> dict[str, str]:
    """Of a request with TagSpecification.N.ResourceType and .Tag.N.Key, or with Tag.N.Key."""
    found = {}
    for name, key in asked.items():
        if parts := re.fullmatch(r"(.*Tag\.\d+)\.Key", name):
            owner = re.match(r"(TagSpecification\.\d+)", name)
            if not owner or asked.get(f"{owner[1]}.ResourceType") == kind:
                found[key] = asked[f"{parts[1]}.Value"]
    return found


def test_the_base_is_debians_own(image: Baked) -> None:
    asked = only(image, "RunInstances")
    assert asked["ImageId"] == "ami-0debian13fake00001"
    filters = [r for r in image.asked.requests("DescribeImages") if "Owner.1" in r]
    assert filters[0]["Owner.1"] == "136693071363"
    assert "debian-13-amd64-*" in filters[0].values()


def test_the_volume_is_gp3_and_not_encrypted(image: Baked) -> None:
    """The Marketplace takes no encrypted snapshot; who launches it encrypts."""
    asked = only(image, "RunInstances")
    device = {name.rpartition("Ebs.")[2]: value for name, value in asked.items() if name.startswith("BlockDevice")}
    assert device["VolumeType"] == "gp3"
    assert (device["Iops"], device["Throughput"], device["VolumeSize"]) == ("3000", "125", "8")
    assert device["DeleteOnTermination"] == "true"
    assert device.get("Encrypted", "false") == "false"


def test_metadata_only_with_a_token(image: Baked) -> None:
    """Of the instance that builds before anything of ours runs there, and of all that the image will launch."""
    asked = only(image, "ModifyInstanceMetadataOptions")
    assert (asked["HttpTokens"], asked["HttpPutResponseHopLimit"]) == ("required", "1")
    (image_id,) = [str(each["ImageId"]) for each in image.images]
    asked = next(each for each in image.asked.requests("ModifyImageAttribute") if "ImdsSupport.Value" in each)
    assert (asked["ImageId"], asked["ImdsSupport.Value"]) == (image_id, "v2.0")


def test_the_image_says_what_it_is(image: Baked) -> None:
    (made,) = image.images
    assert re.fullmatch(rf"bucketzip-{re.escape(__version__)}-debian-13-amd64-\d{{14}}", str(made["Name"]))
    assert made["State"] == "available"
    told: list[dict[str, Any]] = made["Tags"]  # type: ignore[assignment]  # it always has some
    found = {tag["Key"]: tag["Value"] for tag in told}
    assert found["Version"] == __version__
    assert found["BaseAMI"] == "ami-0debian13fake00001"
    assert found["Base"] == "debian-13-amd64-20261101-2286"


def test_ena_is_on(image: Baked) -> None:
    assert any(each.get("EnaSupport.Value") == "true" for each in image.asked.requests("ModifyInstanceAttribute"))


def test_nothing_of_the_build_is_left_at_ec2(image: Baked) -> None:
    assert image.left == {"key pairs": 0, "groups": 0, "instances": 0}


def test_the_manifest_names_the_image(image: Baked) -> None:
    manifest = json.loads(image.manifest.read_text())
    assert manifest["builds"][-1]["artifact_id"] == f"us-east-1:{image.images[0]['ImageId']}"
    assert manifest["builds"][-1]["custom_data"] == {"version": __version__, "architecture": "amd64"}


@pytest.mark.parametrize("step", ["PLAY RECAP", "validate: nothing is wrong"])
def test_what_it_says(image: Baked, step: str) -> None:
    assert step in image.said
    assert "failed=0" in image.said
