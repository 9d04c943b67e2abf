"""Each lie about CRCs, copies and parts is what it says, to somebody else's client, and leaves what it says."""

import zlib
from collections.abc import AsyncIterator

import pytest
from botocore.exceptions import ClientError
from types_aiobotocore_s3.client import S3Client
from types_aiobotocore_s3.type_defs import CopyPartResultTypeDef

from tests.faults import lies, lies_about_checksums
from tests.faults.checksums import encoded
from tests.faults.client import client_of
from tests.faults.content import Synthetic, synthetic_bytes
from tests.faults.lying_s3 import LyingS3, does
from tests.faults.store import Upload

MIB = 1 << 20
SOURCE = Synthetic(6 * MIB)


@pytest.fixture
async def stub() -> AsyncIterator[LyingS3]:
    async with LyingS3({"source": SOURCE}) as running:
        yield running


@pytest.fixture
async def client(stub: LyingS3) -> AsyncIterator[S3Client]:
    async with client_of(stub) as opened:
        yield opened


@pytest.fixture
def upload(stub: LyingS3) -> Upload:
    return stub.begin_upload("made", "FULL_OBJECT")


async def copy_range(client: S3Client, upload: Upload) -> CopyPartResultTypeDef:
    copied = await client.upload_part_copy(
        Bucket="stub",
        Key=upload.key,
        UploadId=upload.upload_id,
        PartNumber=1,
        CopySource="stub/source",
        CopySourceRange="bytes=5-104",
    )
    return copied["CopyPartResult"]


async def test_crcs_of_copies(stub: LyingS3, client: S3Client, upload: Upload) -> None:
    whole = synthetic_bytes(0, 0, SOURCE.size)
    assert (await copy_range(client, upload))["ChecksumCRC32"] == encoded(zlib.crc32(whole[5:105]))
    stub.on(does("UploadPartCopy"), lies_about_checksums.copy_crc_of_whole_source(stub))
    assert (await copy_range(client, upload))["ChecksumCRC32"] == encoded(zlib.crc32(whole))
    stub.on(does("UploadPartCopy"), lies_about_checksums.wrong_copy_crc(1))
    assert (await copy_range(client, upload))["ChecksumCRC32"] == encoded(1)
    stub.on(does("UploadPartCopy"), lies_about_checksums.copy_without_crc())
    assert "ChecksumCRC32" not in await copy_range(client, upload)
    assert upload.parts[1].content.read(0, 100) == whole[5:105]


async def test_a_copy_that_stores_nothing(stub: LyingS3, client: S3Client, upload: Upload) -> None:
    stub.on(does("UploadPartCopy"), lies_about_checksums.copies_nothing(stub))
    crc = zlib.crc32(synthetic_bytes(0, 5, 105))
    assert (await copy_range(client, upload))["ChecksumCRC32"] == encoded(crc)
    listed = await client.list_parts(Bucket="stub", Key="made", UploadId=upload.upload_id)
    assert [part["Size"] for part in listed["Parts"]] == [0]


async def test_composites_told_as_something_else(stub: LyingS3, client: S3Client) -> None:
    stub.objects.put("key", b"12345", crc="composite", part_bytes=2)
    honest = await client.head_object(Bucket="stub", Key="key", ChecksumMode="ENABLED")
    for lie, told_type in (
        (lies_about_checksums.composite_without_number(), "COMPOSITE"),
        (lies_about_checksums.composite_told_as_full(), "FULL_OBJECT"),
    ):
        stub.stop_lying()
        stub.on(does("HeadObject", "key"), lie)
        told = await client.head_object(Bucket="stub", Key="key", ChecksumMode="ENABLED")
        assert (f"{told['ChecksumCRC32']}-3", told["ChecksumType"]) == (honest["ChecksumCRC32"], told_type)


@pytest.mark.parametrize("code", ["AccessDenied", "NotImplemented"])
async def test_what_is_refused_is_not_done(stub: LyingS3, client: S3Client, code: str) -> None:
    refusal = {"AccessDenied": lies.access_denied(), "NotImplemented": lies.not_implemented()}[code]
    stub.on(does("CreateMultipartUpload"), refusal, times=1)
    with pytest.raises(ClientError, match=code):
        await client.create_multipart_upload(Bucket="stub", Key="made")
    assert not stub.uploads_left
    await client.create_multipart_upload(Bucket="stub", Key="made")
    assert len(stub.uploads_left) == 1


async def test_done_but_told_otherwise(stub: LyingS3, client: S3Client) -> None:
    stub.on(does("CreateMultipartUpload"), lies.done_but(lies.internal_error()))
    with pytest.raises(ClientError, match="InternalError"):
        await client.create_multipart_upload(Bucket="stub", Key="made")
    assert len(stub.uploads_left) == 1


@pytest.mark.parametrize("done", [False, True])
async def test_complete_with_200_and_an_error(stub: LyingS3, client: S3Client, upload: Upload, *, done: bool) -> None:
    etag = (await copy_range(client, upload))["ETag"]
    lie = lies_about_checksums.error_with_200("InternalError")
    stub.on(does("CompleteMultipartUpload"), lies.done_but(lie) if done else lie)
    with pytest.raises(ClientError, match="InternalError"):
        await client.complete_multipart_upload(
            Bucket="stub",
            Key="made",
            UploadId=upload.upload_id,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]},
        )
    assert (stub.objects.find("made", None) is not None, not stub.uploads_left) == (done, done)


async def test_parts_listed_wrongly(stub: LyingS3, client: S3Client, upload: Upload) -> None:
    for number in (1, 2, 12):
        await client.upload_part(
            Bucket="stub",
            Key="made",
            UploadId=upload.upload_id,
            PartNumber=number,
            Body=b"1",
            ChecksumAlgorithm="CRC32",
        )
    stub.on(does("ListParts"), lies_about_checksums.omits_part(2))
    stub.on(does("ListParts"), lies_about_checksums.parts_without_etag())
    listed = await client.list_parts(Bucket="stub", Key="made", UploadId=upload.upload_id)
    assert [(part["PartNumber"], part["ETag"], part["Size"]) for part in listed["Parts"]] == [(1, "", 1), (12, "", 1)]
