"""From a request to what is kept of it, and to what S3 is asked for."""

import json

import pytest

from bucketzip.errors import DestinationInSource, InvalidRequest
from bucketzip.jobs import requested
from bucketzip.jobs.ports import Destination, Options
from bucketzip.plan.request import ArchiveRequest
from tests.jobs.making import archive_request, made_job


def test_the_destination_is_bucket_and_key() -> None:
    assert requested.destination(archive_request(destination="s3://out/x/a b%20?.zip")) == Destination(
        "out", "x/a b%20?.zip"
    )


@pytest.mark.parametrize("source", ["s3://out/x/a.zip", {"url": "s3://out/x/a.zip", "version_id": "v"}])
def test_a_source_is_never_written_over(source: object) -> None:
    with pytest.raises(DestinationInSource, match=r"s3://out/x/a\.zip"):
        requested.destination(archive_request("s3://bucket/", source, destination="s3://out/x/a.zip"))


@pytest.mark.parametrize(
    "source", ["s3://out/x/", "s3://out", "s3://out/x/a*", "s3://out/x", "s3://out/x/a.zip/", "s3://other/x/a.zip"]
)
def test_a_folder_around_the_destination_is_none_of_its_sources(source: str) -> None:
    requested.destination(archive_request(source, destination="s3://out/x/a.zip"))


def test_what_is_not_asked_for_is_left_to_s3() -> None:
    assert requested.options(archive_request()) == Options()
    asked = archive_request(
        storage_class="STANDARD_IA",
        sse="aws:kms",
        kms_key="alias/k",
        acl="bucket-owner-full-control",
        tags={"b": "1", "a": ""},
        metadata={"from": "me"},
        content_type="application/x-zip",
        if_exists="rename",
    )
    assert requested.options(asked) == Options(
        storage_class="STANDARD_IA",
        sse="aws:kms",
        kms_key="alias/k",
        acl="bucket-owner-full-control",
        content_type="application/x-zip",
        tags=(("b", "1"), ("a", "")),
        metadata=(("from", "me"),),
        if_exists="rename",
    )


def test_the_digest_is_of_what_is_asked_and_not_of_how_it_is_written() -> None:
    one = archive_request("s3://bb")
    written_otherwise = {
        "tags": {},
        "priority": 0,
        "destination": "s3://out/a.zip",
        "sources": [{"url": "s3://bb", "include": []}],
    }
    assert ArchiveRequest.model_validate_json(json.dumps(written_otherwise)).digest == one.digest
    tags = [archive_request(tags=tags) for tags in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "2", "b": "1"})]
    digests = [each.digest for each in tags]
    assert digests[0] == digests[1] != digests[2]
    assert archive_request(priority=1).digest != archive_request().digest
    one, other = archive_request("s3://b1", "s3://b2"), archive_request("s3://b2", "s3://b1")
    assert one.digest != other.digest, "order decides the archive"


def test_a_request_is_read_again_from_its_job() -> None:
    asked = archive_request("s3://bucket/a", root="r", tags={"a": "b"})
    assert requested.read(made_job(request=asked.model_dump_json())) == asked
    with pytest.raises(InvalidRequest, match="another release"):
        requested.read(made_job(request='{"sources": ["s3://bucket"], "feature": 1}'))
