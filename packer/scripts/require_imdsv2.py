"""No instance metadata without a token: of the instance that builds, and of all that the image will launch.

require_imdsv2.py instance i-0123456789abcdef0
require_imdsv2.py images build/image/packer-manifest.json     prints the images of the manifest's last run
"""

import json
import os
import sys
from pathlib import Path

import boto3


def main(what: str, which: str) -> None:
    """Ask EC2 for it."""
    if what == "instance":
        client(os.environ["AWS_REGION"]).modify_instance_metadata_options(
            InstanceId=which, HttpTokens="required", HttpPutResponseHopLimit=1, HttpEndpoint="enabled"
        )
        return
    manifest = json.loads(Path(which).read_text())
    builds = [build for build in manifest["builds"] if build["packer_run_uuid"] == manifest["last_run_uuid"]]
    for region, image in (each.split(":") for build in builds for each in build["artifact_id"].split(",")):
        client(region).modify_image_attribute(ImageId=image, ImdsSupport={"Value": "v2.0"})
        print(f"{image} in {region}")


def client(region: str):
    """Of EC2, or of what stands in for it."""
    return boto3.client("ec2", region_name=region, endpoint_url=os.environ.get("EC2_ENDPOINT") or None)


if __name__ == "__main__":
    main(*sys.argv[1:])
