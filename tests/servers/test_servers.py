"""What tests rely on: each server is S3, LocalStack knows every checksum, and Swift none."""

import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from types_aiobotocore_s3.literals import ChecksumTypeType
from types_aiobotocore_s3.type_defs import CompletedPartTypeDef, CompleteMultipartUploadOutputTypeDef

from tests.bucket import Bucket, connect, new_bucket
from tests.faults.checksums import composite_of, encoded
from tests.servers.s3_server import RunningServer, S3Server

MIB = 1 << 20
PARTS = [b"1" * (5 * MIB), b"2" * (5 * MIB), b"end"]
WHOLE = b"".join(PARTS)


@pytest.fixture
async def on_localstack(localstack: S3Server) -> AsyncIterator[Bucket]:
    async with new_bucket(localstack) as bucket:
        yield bucket


@pytest.fixture
async def on_swift(swift: S3Server) -> AsyncIterator[Bucket]:
    async with new_bucket(swift) as bucket:
        yield bucket


async def upload(bucket: Bucket, key: str, kind: ChecksumTypeType) -> CompleteMultipartUploadOutputTypeDef:
    upload_id: Any = (
        await bucket.client.create_multipart_upload(
            Bucket=bucket.name, Key=key, ChecksumAlgorithm="CRC32", ChecksumType=kind
        )
    )["UploadId"]
    named: Any = {"Bucket": bucket.name, "Key": key, "UploadId": upload_id}
    parts: list[CompletedPartTypeDef] = []
    for number, data in enumerate(PARTS, 1):
        crc = encoded(zlib.crc32(data))
        sent = await bucket.client.upload_part(**named, PartNumber=number, Body=data, ChecksumCRC32=crc)
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumCRC32": crc})
    return await bucket.client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})


async def reads_back(bucket: Bucket, server: S3Server) -> None:
    keys = {"a b/\u00fc": b"12345", "empty": b"", "c+%": WHOLE}
    await bucket.put_many(keys)
    listed = await bucket.client.list_objects_v2(Bucket=bucket.name)
    assert {entry["Key"]: entry["Size"] for entry in listed["Contents"]} == {key: len(keys[key]) for key in keys}
    for key, data in keys.items():
        got = await bucket.client.get_object(Bucket=bucket.name, Key=key)
        assert await got["Body"].read() == data
    got = await bucket.client.get_object(Bucket=bucket.name, Key="c+%", Range="bytes=5242870-5242889")
    assert await got["Body"].read() == WHOLE[5242870:5242890]
    assert server.environment()["AWS_ENDPOINT_URL_S3"] == server.endpoint_url


async def test_localstack_reads_back(on_localstack: Bucket, localstack: S3Server) -> None:
    await reads_back(on_localstack, localstack)


async def test_localstack_stores_the_crc_of_the_whole(on_localstack: Bucket) -> None:
    bucket, crc = on_localstack, encoded(zlib.crc32(WHOLE))
    await bucket.put("one", WHOLE, ChecksumAlgorithm="CRC32")
    assert (await upload(bucket, "parts", "FULL_OBJECT"))["ChecksumCRC32"] == crc
    for key in ("one", "parts"):
        head = await bucket.client.head_object(Bucket=bucket.name, Key=key, ChecksumMode="ENABLED")
        assert (head["ChecksumCRC32"], head["ChecksumType"]) == (crc, "FULL_OBJECT")


async def test_localstack_stores_the_crcs_of_parts(on_localstack: Bucket) -> None:
    bucket, crcs = on_localstack, [zlib.crc32(data) for data in PARTS]
    await upload(bucket, "parts", "COMPOSITE")
    head = await bucket.client.head_object(Bucket=bucket.name, Key="parts", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (f"{encoded(composite_of(crcs))}-3", "COMPOSITE")
    asked = await bucket.client.get_object_attributes(
        Bucket=bucket.name, Key="parts", ObjectAttributes=["ObjectParts", "ObjectSize"]
    )
    parts = [(part["Size"], part["ChecksumCRC32"]) for part in asked["ObjectParts"]["Parts"]]
    assert parts == [(len(data), encoded(crc)) for data, crc in zip(PARTS, crcs, strict=True)]


async def test_localstack_tells_the_crc_of_a_copy(on_localstack: Bucket) -> None:
    bucket = on_localstack
    await bucket.put("source", WHOLE)
    made = await bucket.client.create_multipart_upload(
        Bucket=bucket.name, Key="scratch", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )
    copied = await bucket.client.upload_part_copy(
        Bucket=bucket.name,
        Key="scratch",
        UploadId=made["UploadId"],
        PartNumber=1,
        CopySource={"Bucket": bucket.name, "Key": "source"},
        CopySourceRange="bytes=100-5242979",
    )
    assert copied["CopyPartResult"]["ChecksumCRC32"] == encoded(zlib.crc32(WHOLE[100:5242980]))


async def test_swift_reads_back(on_swift: Bucket, swift: S3Server) -> None:
    await reads_back(on_swift, swift)


async def test_swift_stores_no_checksum(on_swift: Bucket) -> None:
    bucket = on_swift
    await bucket.put("one", b"12345", ChecksumAlgorithm="CRC32")
    await upload(bucket, "parts", "FULL_OBJECT")
    for key in ("one", "parts"):
        head = await bucket.client.head_object(Bucket=bucket.name, Key=key, ChecksumMode="ENABLED")
        assert "ChecksumCRC32" not in head


async def test_swift_has_no_attributes(swift: S3Server, on_swift: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    await on_swift.put("key", b"12345")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    async with connect(swift) as client:
        with pytest.raises(ClientError, match=r"\(500\)"):
            await client.get_object_attributes(Bucket=on_swift.name, Key="key", ObjectAttributes=["ObjectSize"])


async def test_swift_looks_at_signatures(swift: S3Server) -> None:
    wrong = RunningServer(endpoint_url=swift.endpoint_url, access_key=swift.access_key, secret_key="wrong")
    async with connect(wrong) as client:
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            await client.list_buckets()
