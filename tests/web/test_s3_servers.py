"""The same archive from servers that know much of checksums and copies, and from one that knows nothing of them."""

import io
import random
import zipfile
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bucketzip.archive.crc import crc32
from tests.bucket import Bucket, new_bucket
from tests.servers.s3_server import S3Server
from tests.web.serving import Server, serving

MIB = 1 << 20
SIZES = {"composite.bin": 13 * MIB, "none \u00fc.bin": 9 * MIB + 1, "small.txt": 1000, "stored.bin": 9 * MIB}


async def fill(bucket: Bucket) -> dict[str, bytes]:
    dice = random.Random(3)
    contents = {name: dice.randbytes(size) for name, size in SIZES.items()}
    await bucket.put("in/stored.bin", contents["stored.bin"], ChecksumAlgorithm="CRC32")
    for name in ("none \u00fc.bin", "small.txt"):
        await bucket.put(f"in/{name}", contents[name])
    await put_in_parts(bucket, "in/composite.bin", contents["composite.bin"])
    return contents


async def put_in_parts(bucket: Bucket, key: str, content: bytes) -> None:
    target: dict[str, Any] = {"Bucket": bucket.name, "Key": key}
    created = await bucket.client.create_multipart_upload(**target, ChecksumAlgorithm="CRC32")
    target["UploadId"] = created["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(content), 6 * MIB), 1):
        body = content[start : start + 6 * MIB]
        sent = await bucket.client.upload_part(**target, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
        told = {"ChecksumCRC32": crc} if (crc := sent.get("ChecksumCRC32")) else {}  # not every server has checksums
        parts.append({"PartNumber": number, "ETag": sent["ETag"], **told})
    await bucket.client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})  # type: ignore[typeddict-item]


def check(archive: bytes, contents: dict[str, bytes]) -> None:
    opened = zipfile.ZipFile(io.BytesIO(archive))
    assert {info.filename: info.CRC for info in opened.infolist()} == {
        name: crc32(content) for name, content in contents.items()
    }
    assert opened.testzip() is None


async def resumed(server: Server, url: str, size: int) -> bytes:
    """The archive in three parts, the last one first."""
    parts: list[bytes] = []
    borders = [0, size // 3, size - 2000, size]
    for start, stop in reversed(list(pairwise(borders))):
        async with server.client.get(url, headers={"Range": f"bytes={start}-{stop - 1}"}) as answer:
            assert answer.status == 206, await answer.text()
            parts.insert(0, await answer.read())
    return b"".join(parts)


async def zipped(server: S3Server, work: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Zip the same objects whole and in parts; returns where the CRCs came from."""
    async with new_bucket(server) as bucket, serving(server.environment(), work, monkeypatch) as running:
        contents = await fill(bucket)
        status, answer = await running.ask(bucket.url("in/"))
        assert status == 201, answer
        archive = await resumed(running, answer["url"], answer["bytes"])
        assert len(archive) == answer["bytes"]
        check(archive, contents)
        assert await running.fetch(answer["url"]) == archive
        assert await uploads(bucket) == []
        ways: dict[str, int] = answer["crc"]
        return ways


async def uploads(bucket: Bucket) -> list[str]:
    listed = await bucket.client.list_multipart_uploads(Bucket=bucket.name)
    return [each["Key"] for each in listed.get("Uploads", [])]


async def test_localstack(localstack: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As AWS has it."""
    ways = await zipped(localstack, tmp_path, monkeypatch)
    assert ways == {"stored": 1, "rebuilt": 1, "cached": 0, "copied": 1, "computed": 1}


async def test_seaweedfs(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps CRCs, but tells none of parts."""
    ways = await zipped(s3_server, tmp_path, monkeypatch)
    assert ways == {"stored": 1, "rebuilt": 0, "cached": 0, "copied": 2, "computed": 1}


async def test_swift(swift: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps none, and copies without telling any."""
    ways = await zipped(swift, tmp_path, monkeypatch)
    assert ways == {"stored": 0, "rebuilt": 0, "cached": 0, "copied": 0, "computed": 4}


@pytest.fixture
async def versioned(localstack: S3Server) -> AsyncIterator[Bucket]:
    async with new_bucket(localstack) as bucket:
        await bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        yield bucket


async def test_versions_on_localstack(
    localstack: S3Server, versioned: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {f"{number}.bin": random.Random(number).randbytes(9 * MIB) for number in range(2)}
    for name, content in contents.items():
        await versioned.put(name, content)
    async with serving(localstack.environment(), tmp_path, monkeypatch) as server:
        status, answer = await server.ask(versioned.url())
        assert (status, answer["pinned"]) == (201, {"version": 2, "etag": 0})
        await versioned.put("0.bin", b"overwritten")
        await versioned.delete("1.bin")
        check(await server.fetch(answer["url"]), contents)
