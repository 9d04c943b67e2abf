"""Objects are pinned by their versions where that can be relied on, and by their ETags else."""

from collections.abc import AsyncIterator

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.errors import BucketzipError, S3Unreachable, SlowDown
from bucketzip.plan.catalog import Listed
from bucketzip.s3.listing import S3Catalog
from tests.bucket import Bucket
from tests.faults import honest_s3, lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import Lie, LyingS3, does
from tests.s3.looking import catalog_of
from tests.s3.reading import of_stub

pytestmark = pytest.mark.usefixtures("no_back_off")


async def found(catalog: S3Catalog, bucket: str, prefix: str = "") -> list[Listed]:
    return [listed async for page in catalog.pages(bucket, prefix) for listed in page]


@pytest.fixture
async def stub() -> AsyncIterator[LyingS3]:
    """Objects from before the bucket had versions, and since: some written twice, some deleted."""
    async with LyingS3() as running:
        for key in ("a/old", "a/overwritten"):
            running.objects.put(key, b"before")
        running.versioned = True
        for key in ("a/overwritten", "a/new", "a/twice", "a/gone"):
            running.objects.put(key, b"first")
        running.objects.put("a/twice", b"second one")
        running.objects.delete("a/gone")
        yield running


PINNED = [("a/new", 5, True), ("a/old", 6, False), ("a/overwritten", 5, True), ("a/twice", 10, True)]


def brief(listed: list[Listed]) -> list[tuple[str, int, bool]]:
    return [(each.key, each.size, bool(each.version_id)) for each in listed]


async def test_the_current_versions_are_listed(stub: LyingS3) -> None:
    async with catalog_of(of_stub(stub), versions=True) as catalog:
        listed = await found(catalog, stub.bucket)
        assert brief(listed) == PINNED
        for each in listed:
            stored = stub.objects.find(each.key, each.version_id or None)
            assert stored is not None
            assert stored.etag == each.etag
            looked = await catalog.look(stub.bucket, each.key)
            assert (looked.version_id, looked.etag) == (each.version_id, each.etag)
    assert stub.counts["GetBucketVersioning"] == 1


@pytest.mark.parametrize("page_keys", [2, 3, 4])
async def test_over_many_pages(stub: LyingS3, monkeypatch: pytest.MonkeyPatch, page_keys: int) -> None:
    monkeypatch.setattr(honest_s3, "PAGE_KEYS", page_keys)
    async with catalog_of(of_stub(stub), versions=True) as catalog:
        assert brief(await found(catalog, stub.bucket, "a/")) == PINNED


async def test_in_many_folders_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(honest_s3, "PAGE_KEYS", 10)
    async with LyingS3(versioned=True) as stub, catalog_of(of_stub(stub), versions=True) as catalog:
        keys = sorted([f"x/{folder}/{number:02}" for folder in "abc" for number in range(30)] + ["x/a", "x/b!"])
        for key in keys:
            stub.objects.put(key, Synthetic(10, 1))
            stub.objects.put(key, Synthetic(20, 1))
        assert [(each.key, each.size) for each in await found(catalog, stub.bucket, "x/")] == [
            (key, 20) for key in keys
        ]
        delimited = [asked for asked in stub.requests if asked.query.get("delimiter")]
        assert {asked.operation for asked in delimited} == {"ListObjectVersions"}


@pytest.mark.parametrize("operation", ["GetBucketVersioning", "ListObjectVersions", "HeadObject"])
@pytest.mark.parametrize(("trouble", "error"), [(lies.slow_down(), SlowDown), (lies.garbage_head(), S3Unreachable)])
async def test_trouble_with_s3_is_no_answer(
    operation: str, trouble: Lie, error: type[BucketzipError], stub: LyingS3
) -> None:
    """Else the same request would pin objects by their ETags now, and by their versions a moment later."""
    stub.on(does(operation), trouble)
    async with catalog_of(of_stub(stub), versions=True) as catalog:
        with pytest.raises(error):
            await found(catalog, stub.bucket)
        stub.stop_lying()
        assert brief(await found(catalog, stub.bucket)) == PINNED


async def test_on_a_real_server(s3_server: EmbeddedS3, bucket: Bucket) -> None:
    await bucket.put("a/old", b"before")
    await bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    for key, content in (("a/new", b"first"), ("a/twice", b"first"), ("a/twice", b"second"), ("a/gone", b"first")):
        await bucket.put(key, content)
    await bucket.delete("a/gone")
    async with catalog_of(s3_server.environment(), versions=True) as catalog:
        listed = await found(catalog, bucket.name, "a/")
        assert brief(listed) == [("a/new", 5, True), ("a/old", 6, False), ("a/twice", 6, True)]
        assert (await catalog.look(bucket.name, "a/twice")).version_id == listed[2].version_id


@pytest.mark.parametrize("operation", ["ListObjectVersions", "HeadObject"])
async def test_a_role_that_may_not_list_or_read_versions(stub: LyingS3, operation: str) -> None:
    """One that may list but not read them would plan what it cannot download."""
    stub.on(
        lambda asked: asked.operation == operation and (operation != "HeadObject" or "versionId" in asked.query),
        lies.access_denied(),
    )
    async with catalog_of(of_stub(stub), versions=True) as catalog:
        for _ in range(2):
            assert {each.version_id for each in await found(catalog, stub.bucket)} == {""}
            assert (await catalog.look(stub.bucket, "a/new")).version_id == ""
    assert stub.counts["GetBucketVersioning"] == 1, "it is remembered"


async def test_versions_that_are_listed_without_their_ids_pin_nothing(stub: LyingS3) -> None:
    stub.on(does("ListObjectVersions"), lies.edited(("<VersionId>[^<]*</VersionId>", "")))
    async with catalog_of(of_stub(stub), versions=True) as catalog:
        assert [each.version_id for each in await found(catalog, stub.bucket, "a/")] == [""] * len(PINNED)


async def test_a_role_that_may_not_ask_about_versioning_may_still_list_versions(stub: LyingS3) -> None:
    stub.on(does("GetBucketVersioning"), lies.access_denied())
    async with catalog_of(of_stub(stub), versions=True) as catalog:
        assert brief(await found(catalog, stub.bucket)) == PINNED


async def test_without_versioning_nothing_more_is_asked(stub: LyingS3) -> None:
    async with LyingS3({"key": b"content"}) as plain, catalog_of(of_stub(plain), versions=True) as catalog:
        assert (await catalog.look(plain.bucket, "key")).version_id == ""
        await found(catalog, plain.bucket)
        assert plain.counts == {"GetBucketVersioning": 1, "HeadObject": 1, "ListObjectsV2": 1}


async def test_switched_off(stub: LyingS3) -> None:
    async with catalog_of(of_stub(stub), versions=False) as catalog:
        assert {each.version_id for each in await found(catalog, stub.bucket)} == {""}
        assert (await catalog.look(stub.bucket, "a/new")).version_id == ""
    assert stub.counts == {"ListObjectsV2": 1, "HeadObject": 1}


async def test_a_version_that_the_user_names_needs_no_listing_of_them(stub: LyingS3) -> None:
    stub.on(does("ListObjectVersions"), lies.access_denied())
    async with catalog_of(of_stub(stub), versions=True) as catalog:
        first = stub.objects.versions("a/twice", "")
        old = [version.version_id for _, versions in first for version in versions][-1]
        looked = await catalog.look(stub.bucket, "a/twice", old or "")
        assert (looked.size, looked.version_id) == (5, old)
    assert not stub.counts["ListObjectVersions"]


async def test_what_could_not_be_tried_is_tried_again(stub: LyingS3) -> None:
    """An empty folder says nothing about the rest of the bucket."""
    async with catalog_of(of_stub(stub), versions=True) as catalog:
        assert await found(catalog, stub.bucket, "empty/") == []
        assert brief(await found(catalog, stub.bucket, "a/")) == PINNED
