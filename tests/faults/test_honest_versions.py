"""A bucket that keeps versions, and one that does not."""

import pytest
from botocore.exceptions import ClientError
from types_aiobotocore_s3.client import S3Client

from tests.faults.client import client_of
from tests.faults.lying_s3 import LyingS3


async def versions_of(client: S3Client, *, page: int = 1000, prefix: str = "") -> list[tuple[str, str, bool]]:
    """Return key, version and whether it is the latest, by page; the version of a delete marker in brackets."""
    found: list[tuple[str, str, bool]] = []
    pages = client.get_paginator("list_object_versions").paginate(
        Bucket="stub", Prefix=prefix, PaginationConfig={"PageSize": page}
    )
    async for answer in pages:
        rows = [(each["Key"], each["VersionId"], each["IsLatest"]) for each in answer.get("Versions", [])]
        rows += [(each["Key"], f"[{each['VersionId']}]", each["IsLatest"]) for each in answer.get("DeleteMarkers", [])]
        assert len(rows) <= page
        found += rows
    return found


async def test_not_versioned() -> None:
    async with LyingS3({"a": b"1", "b": b"2"}) as stub, client_of(stub) as client:
        stub.objects.put("a", b"3")
        stub.objects.delete("b")
        assert "Status" not in await client.get_bucket_versioning(Bucket=stub.bucket)
        assert await versions_of(client) == [("a", "null", True)]
        got = await client.get_object(Bucket=stub.bucket, Key="a", VersionId="null")
        assert await got["Body"].read() == b"3"
        assert "VersionId" not in got


async def test_versioned() -> None:
    async with LyingS3({"a": b"old"}) as stub, client_of(stub) as client:
        stub.versioned = True
        assert (await client.get_bucket_versioning(Bucket=stub.bucket))["Status"] == "Enabled"
        second, third = (stub.objects.put("a", data).version_id for data in (b"second", b"third"))
        assert second and third  # noqa: PT018
        assert await versions_of(client) == [("a", third, True), ("a", second, False), ("a", "null", False)]
        for version_id, data in ((second, b"second"), (third, b"third"), ("null", b"old")):
            got = await client.get_object(Bucket=stub.bucket, Key="a", VersionId=version_id)
            assert (await got["Body"].read(), got["VersionId"]) == (data, version_id)


async def test_delete_markers() -> None:
    async with LyingS3(versioned=True) as stub, client_of(stub) as client:
        version_id = stub.objects.put("a", b"1").version_id
        stub.objects.delete("a")
        (version, marker) = await versions_of(client)
        assert version == ("a", version_id, False)
        assert (marker[0], marker[2]) == ("a", True)
        with pytest.raises(ClientError, match="NoSuchKey"):
            await client.get_object(Bucket=stub.bucket, Key="a")
        with pytest.raises(ClientError, match="MethodNotAllowed"):
            await client.get_object(Bucket=stub.bucket, Key="a", VersionId=marker[1].strip("[]"))
        assert not (await client.list_objects_v2(Bucket=stub.bucket))["KeyCount"]


@pytest.mark.parametrize("page", [1, 2, 3, 4, 1000])
async def test_pages_of_versions(page: int) -> None:
    async with LyingS3(versioned=True) as stub, client_of(stub) as client:
        for number in range(3):
            for key in ("a", "a b", "a/\u00fc", "c+"):
                stub.objects.put(key, b"%d" % number)
        stub.objects.delete("a b")
        found = await versions_of(client, page=page)
        kept = ("a", "a/\u00fc", "c+")
        assert [key for key, _, _ in found if key != "a b"] == [key for key in kept for _ in range(3)]
        assert sorted(found) == sorted(await versions_of(client))
        latest = {key: version_id for key, version_id, is_latest in found if is_latest}
        newest = {key: stored.version_id for key in kept if (stored := stub.objects.find(key, None))}
        assert {key: latest[key] for key in kept} == newest
        assert len(await versions_of(client, page=page, prefix="a ")) == 4


@pytest.mark.parametrize("page", [1, 2, 1000])
async def test_folders_of_versions(page: int) -> None:
    async with LyingS3(dict.fromkeys(["a", "b/", "b/1", "b/2", "c/1", "d"], b"x")) as stub, client_of(stub) as client:
        found: list[str] = []
        pages = client.get_paginator("list_object_versions").paginate(
            Bucket=stub.bucket, Delimiter="/", PaginationConfig={"PageSize": page}
        )
        async for answer in pages:
            found += [each["Key"] for each in answer.get("Versions", [])]
            found += [each["Prefix"] for each in answer.get("CommonPrefixes", [])]
        assert sorted(found) == ["a", "b/", "c/", "d"]


async def test_a_version_alone_is_no_place_to_go_on_from() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        with pytest.raises(ClientError, match="InvalidArgument"):
            await client.list_object_versions(Bucket=stub.bucket, VersionIdMarker="x")
