"""Uploads in parts, sent and copied, as S3 takes and refuses them."""

import zlib
from typing import Any

import pytest
from botocore.exceptions import ClientError
from types_aiobotocore_s3.client import S3Client
from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

from tests.faults.checksums import encoded
from tests.faults.client import client_of
from tests.faults.content import Content, Synthetic, synthetic_bytes
from tests.faults.lying_s3 import LyingS3

MIB = 1 << 20
SOURCE = Synthetic(12 * MIB + 7)
LEAST = bytes(5 * MIB)


class Writer:
    """The calls of one upload, with the bucket, the key and the id filled in."""

    def __init__(self, client: S3Client, upload_id: str) -> None:
        self.client = client
        self.named: Any = {"Bucket": "stub", "Key": "made", "UploadId": upload_id}

    async def send(self, number: int, data: bytes) -> CompletedPartTypeDef:
        crc = encoded(zlib.crc32(data))
        sent = await self.client.upload_part(**self.named, PartNumber=number, Body=data, ChecksumCRC32=crc)
        assert sent["ChecksumCRC32"] == crc
        return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumCRC32": crc}

    async def copy(self, number: int, key: str = "source", **more: Any) -> CompletedPartTypeDef:
        copied = await self.client.upload_part_copy(
            **self.named, PartNumber=number, CopySource={"Bucket": "stub", "Key": key}, **more
        )
        result = copied["CopyPartResult"]
        return {"PartNumber": number, "ETag": result["ETag"], "ChecksumCRC32": result["ChecksumCRC32"]}

    async def complete(self, *parts: CompletedPartTypeDef, **more: Any) -> Any:
        return await self.client.complete_multipart_upload(**self.named, MultipartUpload={"Parts": parts}, **more)


async def begin(client: S3Client, checksum_type: Any = "FULL_OBJECT", **more: Any) -> Writer:
    made = await client.create_multipart_upload(
        Bucket="stub", Key="made", ChecksumAlgorithm="CRC32", ChecksumType=checksum_type, **more
    )
    assert (made["ChecksumAlgorithm"], made["ChecksumType"]) == ("CRC32", checksum_type)
    return Writer(client, made["UploadId"])


async def test_an_object_of_parts_sent_and_copied() -> None:
    async with LyingS3({"source": SOURCE}) as stub, client_of(stub) as client:
        writer = await begin(client, Metadata={"job": "7"}, ContentType="application/zip")
        parts = [
            await writer.send(1, LEAST),
            await writer.copy(2),
            await writer.copy(5, CopySourceRange="bytes=100-5242979"),
            await writer.send(6, b"end"),
        ]
        assert [upload.key for upload in stub.uploads_left] == ["made"]
        whole = synthetic_bytes(0, 0, SOURCE.size)
        data = LEAST + whole + whole[100 : 100 + 5 * MIB] + b"end"
        crc = encoded(zlib.crc32(data))
        done = await writer.complete(*parts, ChecksumCRC32=crc, ChecksumType="FULL_OBJECT", MpuObjectSize=len(data))
        assert (done["ChecksumCRC32"], done["ChecksumType"], stub.uploads_left) == (crc, "FULL_OBJECT", [])

        head = await client.head_object(Bucket="stub", Key="made", ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["ChecksumCRC32"], head["ETag"]) == (len(data), crc, done["ETag"])
        assert (head["Metadata"], head["ContentType"]) == ({"job": "7"}, "application/zip")
        got = await client.get_object(Bucket="stub", Key="made")
        assert await got["Body"].read() == data
        assert stub.counts == {
            "CreateMultipartUpload": 1,
            "UploadPart": 2,
            "UploadPartCopy": 2,
            "CompleteMultipartUpload": 1,
            "HeadObject": 1,
            "GetObject": 1,
        }
        with pytest.raises(ClientError, match="NoSuchUpload"):
            await writer.complete(*parts)


async def test_composite() -> None:
    async with LyingS3({"source": SOURCE}) as stub, client_of(stub) as client:
        writer = await begin(client, "COMPOSITE")
        parts = [await writer.send(1, LEAST), await writer.send(2, b"end")]
        with pytest.raises(ClientError, match="InvalidRequest"):
            await writer.complete({"PartNumber": 1, "ETag": parts[0]["ETag"]})
        done = await writer.complete(*parts)
        crcs = [zlib.crc32(data).to_bytes(4, "big") for data in (LEAST, b"end")]
        assert done["ChecksumCRC32"] == f"{encoded(zlib.crc32(b''.join(crcs)))}-2"
        asked = await client.get_object_attributes(Bucket="stub", Key="made", ObjectAttributes=["ObjectParts"])
        assert [part["Size"] for part in asked["ObjectParts"]["Parts"]] == [5 * MIB, 3]


async def test_without_checksums() -> None:
    """Then nothing tells the CRC of a copy."""
    async with LyingS3({"source": b"12345"}) as stub, client_of(stub) as client:
        upload = stub.begin_upload("made")
        writer = Writer(client, upload.upload_id)
        copied = await client.upload_part_copy(**writer.named, PartNumber=1, CopySource="stub/source")
        assert "ChecksumCRC32" not in copied["CopyPartResult"]
        done = await writer.complete({"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]})
        assert "ChecksumCRC32" not in done


async def test_copies_of_versions_and_odd_keys() -> None:
    key = "a b+%20/\u00fc?versionId=1&=#"
    async with LyingS3(versioned=True) as stub, client_of(stub) as client:
        old = stub.objects.put(key, b"old")
        stub.objects.put(key, b"newer")
        assert old.version_id
        writer = await begin(client)
        assert (await writer.copy(1, key)).get("ChecksumCRC32") == encoded(zlib.crc32(b"newer"))
        copied = await client.upload_part_copy(
            **writer.named,
            PartNumber=1,
            CopySource={"Bucket": "stub", "Key": key, "VersionId": old.version_id},
            CopySourceIfMatch=old.etag,
        )
        assert copied["CopyPartResult"]["ChecksumCRC32"] == encoded(zlib.crc32(b"old"))
        assert copied["CopySourceVersionId"] == old.version_id


@pytest.mark.parametrize(
    ("key", "more", "code"),
    [
        ("other", {}, "NoSuchKey"),
        ("source", {"CopySourceIfMatch": '"other"'}, "PreconditionFailed"),
        ("source", {"CopySourceRange": f"bytes=0-{SOURCE.size}"}, "InvalidArgument"),
        ("source", {"CopySourceRange": "bytes=5-"}, "InvalidArgument"),
        ("source", {"CopySourceRange": "bytes=5-4"}, "InvalidArgument"),
        ("source", {"PartNumber": 10_001}, "InvalidArgument"),
        ("small", {"CopySourceRange": "bytes=0-0"}, "InvalidRequest"),
        ("large", {}, "InvalidRequest"),
    ],
)
async def test_copies_refused(key: str, more: dict[str, Any], code: str) -> None:
    there: dict[str, bytes | Content] = {"source": SOURCE, "small": LEAST, "large": Synthetic((5 << 30) + 1)}
    async with LyingS3(there) as stub, client_of(stub) as client:
        writer = await begin(client)
        asked = {"PartNumber": 1, "CopySource": {"Bucket": "stub", "Key": key}, **more}
        with pytest.raises(ClientError, match=code):
            await client.upload_part_copy(**writer.named, **asked)
        assert not stub.uploads_left[0].parts


async def test_a_few_bytes_of_a_huge_object_are_copied_at_once() -> None:
    async with LyingS3({"huge": Synthetic(50 << 30)}) as stub, client_of(stub) as client:
        writer = await begin(client)
        copied = await writer.copy(1, "huge", CopySourceRange=f"bytes={45 << 30}-{(45 << 30) + 999}")
        crc = zlib.crc32(synthetic_bytes(0, 45 << 30, (45 << 30) + 1000))
        assert copied.get("ChecksumCRC32") == encoded(crc)


async def test_parts_refused() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        writer = await begin(client)
        with pytest.raises(ClientError, match="BadDigest"):
            await client.upload_part(**writer.named, PartNumber=1, Body=b"1", ChecksumCRC32="AAAAAA==")
        with pytest.raises(ClientError, match="InvalidRequest"):
            await client.upload_part(**writer.named, PartNumber=1, Body=b"1", ChecksumAlgorithm="SHA256")
        other = Writer(client, "other")
        with pytest.raises(ClientError, match="NoSuchUpload"):
            await other.send(1, b"1")
        assert not stub.uploads_left[0].parts


async def test_complete_refused() -> None:
    async with LyingS3({"made": b"before"}) as stub, client_of(stub) as client:
        writer = await begin(client)
        first, second, last = [await writer.send(1, LEAST), await writer.send(2, b"2"), await writer.send(3, b"3")]
        right = encoded(zlib.crc32(LEAST + b"3"))
        wrong: list[tuple[str, tuple[CompletedPartTypeDef, ...], dict[str, Any]]] = [
            ("EntityTooSmall", (first, second, last), {}),
            ("InvalidPartOrder", (last, first), {}),
            ("InvalidPart", ({**first, "ETag": '"other"'}, last), {}),
            ("InvalidPart", ({**first, "PartNumber": 4},), {}),
            ("InvalidPart", ({**first, "ChecksumCRC32": "AAAAAA=="},), {}),
            ("BadDigest", (first, last), {"ChecksumCRC32": "AAAAAA=="}),
            ("InvalidRequest", (first, last), {"ChecksumCRC32": right, "ChecksumType": "COMPOSITE"}),
            ("InvalidRequest", (first, last), {"MpuObjectSize": 1}),
            ("PreconditionFailed", (first, last), {"IfNoneMatch": "*"}),
            ("MalformedXML", (), {}),
        ]
        for code, parts, more in wrong:
            with pytest.raises(ClientError, match=code):
                await writer.complete(*parts, **more)
        assert stub.objects.find("made", None) is not None
        assert (await client.head_object(Bucket="stub", Key="made"))["ContentLength"] == 6
        await writer.complete(first, last, ChecksumCRC32=right, ChecksumType="FULL_OBJECT")


async def test_abort() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        writer = await begin(client)
        await writer.send(1, b"1")
        gone = await client.abort_multipart_upload(**writer.named)
        assert (gone["ResponseMetadata"]["HTTPStatusCode"], stub.uploads_left) == (204, [])
        for again in (client.abort_multipart_upload(**writer.named), client.list_parts(**writer.named)):
            with pytest.raises(ClientError, match="NoSuchUpload"):
                await again


async def test_list_parts_by_page() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        writer = await begin(client)
        await writer.send(3, b"old")
        sent = [await writer.send(number, b"part %d" % number) for number in (9, 3, 1, 4, 10_000)]
        pages = client.get_paginator("list_parts").paginate(**writer.named, PaginationConfig={"PageSize": 2})
        answers = [page async for page in pages]
        assert [(page["ChecksumAlgorithm"], page["ChecksumType"]) for page in answers] == [("CRC32", "FULL_OBJECT")] * 3
        listed = [part for page in answers for part in page["Parts"]]
        assert [{name: part.get(name) for name in sent[0]} for part in listed] == sorted(
            sent, key=lambda part: part["PartNumber"]
        )
        assert [part["Size"] for part in listed] == [6, 6, 6, 6, 10]


async def test_list_uploads() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        for key in ("b/2", "a", "b/1", "b/1", "b/1", "c"):
            stub.begin_upload(key)
        assert "Uploads" not in await client.list_multipart_uploads(Bucket="stub", Prefix="other")
        for size in (1, 2, 3, 1000):
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket="stub", Prefix="b/", PaginationConfig={"PageSize": size}
            )
            found = [upload async for page in pages for upload in page["Uploads"]]
            assert [upload["Key"] for upload in found] == ["b/1", "b/1", "b/1", "b/2"]
            assert len({upload["UploadId"] for upload in found}) == 4


async def test_what_is_written_gets_a_version() -> None:
    async with LyingS3({"made": b"before"}, versioned=True) as stub, client_of(stub) as client:
        writer = await begin(client)
        done = await writer.complete(await writer.send(1, b"after"))
        got = await client.get_object(Bucket="stub", Key="made", VersionId=done["VersionId"])
        assert await got["Body"].read() == b"after"
        assert len((await client.list_object_versions(Bucket="stub"))["Versions"]) == 2


async def test_checksums_that_the_store_does_not_know() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        with pytest.raises(ClientError, match="NotImplemented"):
            await client.create_multipart_upload(Bucket="stub", Key="made", ChecksumAlgorithm="SHA256")
        with pytest.raises(ClientError, match="NotImplemented"):
            await client.put_object(Bucket="stub", Key="made", Body=b"")
