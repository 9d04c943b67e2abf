"""Archives made inside real servers: the same one wherever, whether they copy or know nothing of checksums."""

from pathlib import Path
from typing import cast

import pytest

from bucketzip.archive.crc import crc32
from tests.bucket import Bucket, new_bucket
from tests.faults.content import synthetic_bytes
from tests.jobs.archiving import KEY, MIB, Client
from tests.readers.readers import ArchiveReaders
from tests.servers.s3_server import S3Server
from tests.web.serving import serving

pytestmark = pytest.mark.usefixtures("_no_back_off")

SIZES = {
    "large.bin": 21 * MIB,
    "middle.bin": 10 * MIB,
    "sub/empty": 0,
    "sub/\u00fc \u65e5\u672c+%.txt": 4000,
    **{f"sub/{number}.txt": 30_000 for number in range(20)},
}


@pytest.mark.parametrize(
    ("name", "copies"),
    [("s3_server", True), ("localstack", True), ("swift", False)],
    ids=["SeaweedFS", "LocalStack", "Swift"],
)
async def test_an_archive_in_a_real_server(
    request: pytest.FixtureRequest,
    archive_readers: ArchiveReaders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    copies: bool,
) -> None:
    server = cast(S3Server, request.getfixturevalue(name))
    contents = {name: synthetic_bytes(seed, 0, size) for seed, (name, size) in enumerate(SIZES.items())}
    async with new_bucket(server) as bucket, serving(server.environment(), tmp_path / "state", monkeypatch) as running:
        await bucket.put_many({f"in/{name}": content for name, content in contents.items()})
        job = await Client(running.client, running.base).archived(bucket.url("in/"), destination=bucket.url(KEY))
        archive = await _content(bucket)
        assert await _uploads(bucket) == []
        head = await bucket.client.head_object(Bucket=bucket.name, Key=KEY, ChecksumMode="ENABLED")
    path = tmp_path / "a.zip"
    path.write_bytes(archive)
    archive_readers.assert_opens_everywhere(path, contents, java_stream=True)

    result = job["result"]
    assert (result["bytes"], int(result["crc32"], 16)) == (len(archive), crc32(archive))
    assert (result["copied_bytes"] > len(archive) // 2, job["notes"] == []) == (copies, copies)
    assert (head.get("ChecksumType"), head["ETag"].strip('"')) == ("FULL_OBJECT" if copies else None, result["etag"])


async def _content(bucket: Bucket) -> bytes:
    answer = await bucket.client.get_object(Bucket=bucket.name, Key=KEY)
    return bytes(await answer["Body"].read())


async def _uploads(bucket: Bucket) -> list[str]:
    listed = await bucket.client.list_multipart_uploads(Bucket=bucket.name)
    return [each["Key"] for each in listed.get("Uploads", [])]
