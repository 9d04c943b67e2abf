"""Stored checksums are told as S3 tells them: by HEAD, by listings, and part by part."""

import zlib

import pytest
from botocore.exceptions import ClientError

from tests.faults.checksums import encoded
from tests.faults.client import client_of
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3

MIB = 1 << 20
DATA = bytes(range(256))


async def test_full_object() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        stub.objects.put("one", DATA, crc="full")
        stub.objects.put("parts", DATA, crc="full", part_bytes=100)
        for key in ("one", "parts"):
            head = await client.head_object(Bucket=stub.bucket, Key=key, ChecksumMode="ENABLED")
            assert (head["ChecksumCRC32"], head["ChecksumType"]) == (encoded(zlib.crc32(DATA)), "FULL_OBJECT")
            assert "ChecksumCRC32" not in await client.get_object(Bucket=stub.bucket, Key=key, Range="bytes=0-9")


async def test_composite_is_the_crc_of_the_part_crcs() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        stub.objects.put("key", DATA, crc="composite", part_bytes=100)
        crcs = [zlib.crc32(DATA[start : start + 100]) for start in (0, 100, 200)]
        value = encoded(zlib.crc32(b"".join(crc.to_bytes(4, "big") for crc in crcs)))
        head = await client.head_object(Bucket=stub.bucket, Key="key", ChecksumMode="ENABLED")
        assert (head["ChecksumCRC32"], head["ChecksumType"]) == (f"{value}-3", "COMPOSITE")
        assert head["ETag"].endswith('-3"')

        asked = await client.get_object_attributes(
            Bucket=stub.bucket, Key="key", ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize"]
        )
        assert asked["Checksum"] == {"ChecksumCRC32": value, "ChecksumType": "COMPOSITE"}
        assert (asked["ETag"], asked["ObjectSize"]) == (head["ETag"].strip('"'), 256)
        parts = asked["ObjectParts"]
        assert [(part["PartNumber"], part["Size"], part["ChecksumCRC32"]) for part in parts["Parts"]] == [
            (number, size, encoded(crc)) for number, size, crc in zip((1, 2, 3), (100, 100, 56), crcs, strict=True)
        ]
        assert (parts["TotalPartsCount"], parts["IsTruncated"]) == (3, False)
        assert stub.counts == {"HeadObject": 1, "GetObjectAttributes": 1}


async def test_parts_by_page() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        stub.objects.put("key", Synthetic(5 * MIB), crc="composite", part_bytes=MIB)
        marker, numbers, truncated = 0, [], []
        for _ in range(3):
            asked = await client.get_object_attributes(
                Bucket=stub.bucket, Key="key", ObjectAttributes=["ObjectParts"], MaxParts=2, PartNumberMarker=marker
            )
            numbers += [part["PartNumber"] for part in asked["ObjectParts"]["Parts"]]
            marker = asked["ObjectParts"]["NextPartNumberMarker"]
            truncated.append(asked["ObjectParts"]["IsTruncated"])
        assert (numbers, truncated) == ([1, 2, 3, 4, 5], [True, True, False])


async def test_without_checksums_of_parts_only_their_number_is_told() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        stub.objects.put("none", DATA, part_bytes=100)
        stub.objects.put("full", DATA, crc="full", part_bytes=100)
        stub.objects.put("one", DATA)
        for key, parts in {"none": {"TotalPartsCount": 3}, "full": {"TotalPartsCount": 3}, "one": None}.items():
            asked = await client.get_object_attributes(
                Bucket=stub.bucket, Key=key, ObjectAttributes=["ObjectParts", "Checksum"]
            )
            assert (asked.get("ObjectParts"), "Checksum" in asked) == (parts, key == "full")
        head = await client.head_object(Bucket=stub.bucket, Key="none", ChecksumMode="ENABLED")
        assert "ChecksumCRC32" not in head
        with pytest.raises(ClientError, match="NoSuchKey"):
            await client.get_object_attributes(Bucket=stub.bucket, Key="other", ObjectAttributes=["ETag"])


async def test_listings_name_the_algorithm() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        stub.objects.put("a", DATA)
        stub.objects.put("b", DATA, crc="full")
        stub.objects.put("c", DATA, crc="composite", part_bytes=100)
        told = [(None, None), (["CRC32"], "FULL_OBJECT"), (["CRC32"], "COMPOSITE")]
        listed = (await client.list_objects_v2(Bucket=stub.bucket))["Contents"]
        assert [(entry.get("ChecksumAlgorithm"), entry.get("ChecksumType")) for entry in listed] == told
        versions = (await client.list_object_versions(Bucket=stub.bucket))["Versions"]
        assert [(entry.get("ChecksumAlgorithm"), entry.get("ChecksumType")) for entry in versions] == told


async def test_checksums_of_an_old_version() -> None:
    async with LyingS3(versioned=True) as stub, client_of(stub) as client:
        old = stub.objects.put("key", DATA, crc="full")
        stub.objects.put("key", b"new", crc="full")
        assert old.version_id
        head = await client.head_object(Bucket=stub.bucket, Key="key", VersionId=old.version_id, ChecksumMode="ENABLED")
        assert (head["VersionId"], head["ChecksumCRC32"]) == (old.version_id, encoded(zlib.crc32(DATA)))
        asked = await client.get_object_attributes(
            Bucket=stub.bucket, Key="key", VersionId=old.version_id, ObjectAttributes=["ObjectSize"]
        )
        assert (asked["VersionId"], asked["ObjectSize"]) == (old.version_id, 256)


def test_a_composite_needs_parts() -> None:
    with pytest.raises(ValueError, match="part_bytes"):
        LyingS3().objects.put("key", DATA, crc="composite")
