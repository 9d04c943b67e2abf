"""Listings are whole and in order, or an error that says where they broke: never a part taken for all."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import replace

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.errors import AccessDenied, BucketzipError, NoSuchBucket, NoSuchObject, S3Error, S3Refused, S3Unreachable
from bucketzip.plan.catalog import Listed
from bucketzip.s3 import credentials, listing
from bucketzip.s3.listing import S3Catalog
from tests.bucket import Bucket
from tests.faults import honest_s3, lies
from tests.faults.content import Given
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import Lie, LyingS3, heads, lists
from tests.s3.awkward import awkward_keys
from tests.s3.looking import catalog_of
from tests.s3.reading import eventually, fails_with, left_behind, of_stub

pytestmark = pytest.mark.usefixtures("no_back_off")

PAGE = 100


@pytest.fixture
async def stub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LyingS3]:
    """With pages of 100 keys, so that a thousand make ten."""
    monkeypatch.setattr(honest_s3, "PAGE_KEYS", PAGE)
    async with LyingS3() as running:
        yield running


@pytest.fixture
async def catalog(stub: LyingS3) -> AsyncIterator[S3Catalog]:
    async with catalog_of(of_stub(stub)) as made:
        yield made


def fill(stub: LyingS3, keys: Iterable[str]) -> None:
    for key in keys:
        stub.objects.put(key, key.encode(errors="replace"))


async def keys_of(catalog: S3Catalog, bucket: str = "stub", prefix: str = "") -> list[str]:
    return [listed.key async for page in catalog.pages(bucket, prefix) for listed in page]


def by_bytes(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=str.encode)


# Whole, and in order

SHAPES: dict[str, tuple[str, list[str]]] = {  # what is asked for, and what is there
    "nothing": ("", []),
    "one": ("", ["key"]),
    "one page, full": ("", [f"{n:03}" for n in range(PAGE)]),
    "two pages": ("", [f"{n:03}" for n in range(PAGE + 1)]),
    "flat": ("", [f"{n:04}" for n in range(1234)]),
    "a few folders, objects between": (
        "",
        [
            *(f"{folder}/{n:03}" for folder in ("a", "b b", "c+c", "\u00fc", "\U0001f600") for n in range(250)),
            *("A", "a", "a!", "a0", "b", "bb", "c", "c,", "zz", "\u00fcber", "\uffff"),
        ],
    ),
    "three folders of a thousand, objects between": (
        "",
        [*(f"{folder}/{n:04}" for folder in ("a", "b", "c") for n in range(1000)), "a", "a.txt", "b0", "d"],
    ),
    "one folder deep": ("", [f"x/y/z/{folder}/{n:03}" for folder in "abc" for n in range(200)]),
    "one folder deep, and something beside it": (
        "",
        ["x/y.txt", "x/y0", *(f"x/y/{folder}/{n:03}" for folder in "abc" for n in range(200))],
    ),
    "deeper than it looks": ("", ["/".join("x" * 12) + f"/{n:03}" for n in range(300)]),
    "many folders": ("", [f"{folder:03}/{n}" for folder in range(150) for n in range(3)]),
    "many folders behind a dense one": (
        "",
        [*(f"a/{n:03}" for n in range(300)), *(f"b{folder:03}/{n}" for folder in range(150) for n in range(2))],
    ),
    "a prefix that ends in a word": (
        "in/fo",
        [*(f"in/fo{end}/{n:03}" for end in ("", "o", "od") for n in range(120)), "in/fo", "in/f", "in/foz", "in/fp"],
    ),
    "empty names between slashes": ("", [f"a//{n:03}" for n in range(150)] + [f"/{n:03}" for n in range(150)]),
    "folder markers": ("", ["a/", "b/", *(f"{folder}/{n:03}" for folder in "ab" for n in range(150))]),
    "awkward": ("", awkward_keys(700)),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_all_of_it_in_order(stub: LyingS3, catalog: S3Catalog, shape: str) -> None:
    prefix, keys = SHAPES[shape]
    fill(stub, keys)
    expected = by_bytes(key for key in keys if key.startswith(prefix))
    assert await keys_of(catalog, prefix=prefix) == expected
    assert await keys_of(catalog, prefix=prefix) == expected
    assert await keys_of(catalog, prefix="no such prefix") == []


async def test_what_is_told_of_an_object(stub: LyingS3, catalog: S3Catalog) -> None:
    stored = stub.objects.put("key", b"12345")
    ((listed,),) = [page async for page in catalog.pages("stub", "")]
    assert listed == Listed("key", 5, stored.etag, int(stored.last_modified.timestamp()), may_have_crc=True)


def edited(*changes: tuple[str, str]) -> Lie:
    """Another document, of its own length."""

    def lie(asked: object, honest: Reply) -> Reply:
        text = honest.content.read(0, honest.content.size).decode()
        for pattern, by in changes:
            text, count = re.subn(pattern, by, text)
            assert count, pattern
        headers = {**honest.headers, "Content-Length": str(len(text.encode()))}
        return replace(honest, content=Given(text.encode()), stop=len(text.encode()), headers=headers)

    return lie


CLASS = "<StorageClass>STANDARD</StorageClass>"
RESTORED = "<RestoreStatus><IsRestoreInProgress>{}</IsRestoreInProgress>{}</RestoreStatus>"
EXPIRY = "<RestoreExpiryDate>2030-01-02T00:00:00.000Z</RestoreExpiryDate>"


@pytest.mark.parametrize(
    ("told", "archived"),
    [
        ("<StorageClass>STANDARD_IA</StorageClass>", False),
        ("<StorageClass>GLACIER_IR</StorageClass>", False),
        ("", False),
        ("<StorageClass>GLACIER</StorageClass>", True),
        ("<StorageClass>DEEP_ARCHIVE</StorageClass>", True),
        (f"<StorageClass>GLACIER</StorageClass>{RESTORED.format('true', '')}", True),
        (f"<StorageClass>GLACIER</StorageClass>{RESTORED.format('false', EXPIRY)}", False),
    ],
)
async def test_archived_in_a_listing(stub: LyingS3, catalog: S3Catalog, *, told: str, archived: bool) -> None:
    fill(stub, ["key"])
    stub.on(lists(), edited((CLASS, told)))
    ((listed,),) = [page async for page in catalog.pages("stub", "")]
    assert listed.archived is archived
    assert stub.requests[-1].headers["x-amz-optional-object-attributes"] == "RestoreStatus"


@pytest.mark.parametrize(("algorithm", "may_have"), [("CRC32", True), ("SHA256", False), ("CRC64NVME", False)])
async def test_checksums_in_a_listing(stub: LyingS3, catalog: S3Catalog, *, algorithm: str, may_have: bool) -> None:
    fill(stub, ["key"])
    stub.on(lists(), edited((CLASS, f"<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm>{CLASS}")))
    ((listed,),) = [page async for page in catalog.pages("stub", "")]
    assert listed.may_have_crc is may_have


async def test_listed_side_by_side(stub: LyingS3, catalog: S3Catalog) -> None:
    fill(stub, SHAPES["a few folders, objects between"][1])
    stub.on(lists(), lies.slow_first_byte(0.05))
    await keys_of(catalog)
    assert 4 <= stub.most_under_way <= listing.LISTINGS_AT_ONCE
    assert len(stub.requests) <= 2 + 5 * 3  # the first page, the folders, and their pages: three each


async def test_pages_run_ahead_but_not_away(stub: LyingS3, catalog: S3Catalog) -> None:
    fill(stub, SHAPES["flat"][1])
    async with aclosing(catalog.pages("stub", "")) as pages:
        await anext(pages)
        await anext(pages)
        await asyncio.sleep(0.3)
        assert 4 <= len(stub.requests) <= listing.PAGES_AHEAD + 5
        assert len(stub.requests) < 1234 // PAGE


async def test_real_server(s3_server: EmbeddedS3, bucket: Bucket) -> None:
    """More than a page of it: SeaweedFS lists in the order of its directories, but always in the same."""
    objects = {f"{folder}/{n:04}": b"%d" % n for folder in ("a", "b b", "c+c/\u00fc") for n in range(350)}
    objects |= {"a!": b"", "a0": b"1", "z": b"zz"}
    await bucket.put_many(objects)
    async with catalog_of(s3_server.environment()) as catalog:
        first = await keys_of(catalog, bucket.name)
        assert sorted(first) == sorted(objects)
        assert await keys_of(catalog, bucket.name) == first
        assert [key for key in first if key.startswith("a/")] == [f"a/{n:04}" for n in range(350)]
        assert await keys_of(catalog, bucket.name, "b b/") == [f"b b/{n:04}" for n in range(350)]
        looked = await catalog.look(bucket.name, "b b/0123")
        (listed,) = [each async for page in catalog.pages(bucket.name, "b b/0123") for each in page]
        assert (looked.key, looked.size, looked.etag, looked.mtime) == listed[:4]
        assert looked.size == 3
        with pytest.raises(NoSuchObject, match=r"s3://.*/no such key does not exist"):
            await catalog.look(bucket.name, "no such key")
        with pytest.raises(NoSuchBucket, match="s3://no-such-bucket"):
            await catalog.look("no-such-bucket", "key")
        with pytest.raises(NoSuchBucket, match="s3://no-such-bucket"):
            await keys_of(catalog, "no-such-bucket")


# Trouble


@pytest.mark.parametrize(
    ("lie", "kind", "said"),
    [
        (lies.refuse(403, "AccessDenied"), AccessDenied, "s3:ListBucket"),
        (lies.refuse(404, "NoSuchBucket"), NoSuchBucket, "NoSuchBucket"),
        (lies.refuse(400, "InvalidArgument"), S3Refused, "InvalidArgument"),
        (edited((r"<NextContinuationToken>[^<]*</NextContinuationToken>", "")), S3Error, "not where"),
        (edited((r"<Size>\d+</Size>", "")), S3Error, "without 'Size'"),
        # botocore takes what is no XML for an internal error.
        (edited((r"</?ListBucketResult[^>]*>", "")), S3Error, "status 500"),
        (edited((r"(?s)<.*", "<html>Please log in<br></html>")), S3Error, "status 500"),
        # And what is XML, or nothing at all, for an answer without objects.
        (edited((r"(?s)<.*", "<html>Please log in</html>")), S3Error, "no listing"),
        (edited((r"(?s)<.*", "")), S3Error, "no listing"),
        (edited((r"<IsTruncated>[^<]*</IsTruncated>", "")), S3Error, "no listing"),
        (edited((r"<Key>[^<]*</Key>", "")), S3Error, "without 'Key'"),
        (edited((r"<Key>in/", "<Key>elsewhere/")), S3Error, "S3 lists 'elsewhere/"),
        (edited((r"<Size>", "<Size>-")), S3Error, " of -"),
    ],
)
@pytest.mark.parametrize("split", [False, True])
async def test_a_page_that_fails(
    stub: LyingS3, catalog: S3Catalog, *, lie: Lie, kind: type[BucketzipError], said: str, split: bool
) -> None:
    """The seventh, when six have been told: that was not all, and the error says where it was."""
    if split:
        fill(stub, [f"in/{folder}/{n:03}" for folder in "abc" for n in range(450)])
        stub.on(lists("in/b/"), lie, skip=2)
    else:
        fill(stub, [f"in/{n:04}" for n in range(1350)])
        stub.on(lists(), lie, skip=6)
    got: list[str] = []

    async def list_all() -> None:
        async for page in catalog.pages("stub", "in/"):
            got.extend(listed.key for listed in page)

    message = await fails_with(kind, list_all())
    assert message.startswith("s3://stub/in/b/: " if split else "s3://stub/in/: ")
    assert said in message
    assert len(got) < 1350
    assert got == by_bytes(got)


ETAG = "<ETag>[^<]*</ETag>"


@pytest.mark.parametrize("etag", ["", '""', 'W/"5f"', '"5f\r\nx-amz-acl: public-read"', f'"{"5f" * 130}"'])
async def test_an_etag_that_pins_nothing(stub: LyingS3, catalog: S3Catalog, etag: str) -> None:
    """Nobody would notice that an object was changed between two reads of it."""
    fill(stub, ["in/key"])
    stub.on(lists(), edited((ETAG, f"<ETag>{etag}</ETag>")))
    message = await fails_with(S3Error, keys_of(catalog, prefix="in/"))
    assert message.startswith("s3://stub/in/key: S3 tells no strong ETag of it")
    stub.objects.put("in/key", b"")
    assert await keys_of(catalog, prefix="in/") == ["in/key"], "of which nothing is read"


@pytest.mark.parametrize("split", [False, True])
async def test_a_page_that_fails_twice(stub: LyingS3, catalog: S3Catalog, *, split: bool) -> None:
    keys = [f"{folder}{'/' if split else ''}{n:03}" for folder in "abc" for n in range(400)]
    fill(stub, keys)
    stub.on(lists(), lies.internal_error(), skip=6, times=2)
    assert await keys_of(catalog) == keys
    assert len(stub.requests) >= 12 + 2


@pytest.mark.parametrize("lie", [lies.cut_short(3000), lies.cut_short(0), lies.garbage_head()])
async def test_a_page_cut_short(stub: LyingS3, catalog: S3Catalog, lie: Lie) -> None:
    keys = [f"{n:04}" for n in range(350)]
    fill(stub, keys)
    stub.on(lists(), lie, skip=2, times=1)
    assert await keys_of(catalog) == keys


async def test_pages_always_cut_short(stub: LyingS3, catalog: S3Catalog) -> None:
    fill(stub, [f"{n:04}" for n in range(350)])
    stub.on(lists(), lies.cut_short(3000), skip=2)
    with pytest.raises(S3Unreachable, match="s3://stub/: "):
        await keys_of(catalog)


async def test_a_listing_that_goes_in_circles(stub: LyingS3, catalog: S3Catalog) -> None:
    fill(stub, [f"{n:04}" for n in range(350)])
    stub.on(lists(), edited((r"(?<=<NextContinuationToken>)[^<]*", "MDE5OQ==")), skip=1)
    with pytest.raises(S3Error, match=r"s3://stub/: .* not where"):
        async with asyncio.timeout(120):
            await keys_of(catalog)


async def test_expired_during_a_listing(stub: LyingS3, catalog: S3Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RENEW_PAUSE_SECONDS", 0.05)
    keys = [f"{folder}/{n:03}" for folder in "abc" for n in range(350)]
    fill(stub, keys)
    stub.on(lists(), lies.expired_token(), skip=5, times=1)
    assert await keys_of(catalog) == keys


async def test_expired_for_good(stub: LyingS3, catalog: S3Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RENEW_PAUSE_SECONDS", 0.05)
    fill(stub, ["key"])
    stub.on(lists(), lies.expired_token())
    with pytest.raises(BucketzipError, match="ExpiredToken") as caught:
        await keys_of(catalog)
    assert caught.value.code == "credentials_expired"
    assert len(stub.requests) == 2


# Leaving


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_nothing_runs_on(stub: LyingS3, catalog: S3Catalog, *, split: bool, how: str) -> None:
    fill(stub, [f"{folder}{'/' if split else ''}{n:04}" for folder in "abcd" for n in range(900)])
    begun = left_behind()

    async def take(pages: int) -> None:
        async with aclosing(catalog.pages("stub", "")) as listed:
            async for _ in listed:
                pages -= 1
                if not pages:
                    break

    if how == "aclose":
        stub.on(lists(), lies.slow_first_byte(0.02))
        await take(3)
    else:
        stub.on(lists(), lies.held(asyncio.Event()), skip=8)
        task = asyncio.create_task(take(1000))
        await eventually(lambda: len(stub.requests) > 8)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert left_behind() == begun
    await eventually(lambda: stub.under_way == 0)
    asked = len(stub.requests)
    await asyncio.sleep(0.1)
    assert len(stub.requests) == asked


# Looking at one object


@pytest.mark.parametrize(
    ("headers", "crc", "archived"),
    [
        ({}, None, False),
        ({"x-amz-checksum-crc32": "AAAAAQ=="}, 1, False),
        ({"x-amz-checksum-crc32": "AAAAAQ==", "x-amz-checksum-type": "FULL_OBJECT"}, 1, False),
        ({"x-amz-checksum-crc32": "AAAAAQ==", "x-amz-checksum-type": "COMPOSITE"}, None, False),
        ({"x-amz-checksum-crc32": "AAAAAQ==-3", "x-amz-checksum-type": "COMPOSITE"}, None, False),
        ({"x-amz-storage-class": "GLACIER"}, None, True),
        ({"x-amz-storage-class": "DEEP_ARCHIVE", "x-amz-restore": 'ongoing-request="true"'}, None, True),
        (
            {
                "x-amz-storage-class": "DEEP_ARCHIVE",
                "x-amz-restore": 'ongoing-request="false", expiry-date="Fri, 02 Jan 2030 00:00:00 GMT"',
            },
            None,
            False,
        ),
        ({"x-amz-storage-class": "GLACIER_IR"}, None, False),
    ],
)
async def test_look(
    stub: LyingS3, catalog: S3Catalog, *, headers: dict[str, str], crc: int | None, archived: bool
) -> None:
    stored = stub.objects.put("a key", b"12345", headers=headers)
    mtime = int(stored.last_modified.timestamp())
    assert await catalog.look("stub", "a key") == Listed("a key", 5, stored.etag, mtime, archived=archived, crc=crc)
    assert stub.requests[0].headers["x-amz-checksum-mode"] == "ENABLED"


@pytest.mark.parametrize("name", ["ETag", "Last-Modified", "Content-Length"])
async def test_look_at_what_tells_too_little(stub: LyingS3, catalog: S3Catalog, name: str) -> None:
    fill(stub, ["key"])
    stub.on(heads(), lies.header(name, None))
    message = await fails_with(S3Error, catalog.look("stub", "key"))
    assert message == f"s3://stub/key: S3 sent an answer without '{name.replace('-', '')}'"


async def test_look_at_a_version(stub: LyingS3, catalog: S3Catalog) -> None:
    old = stub.objects.put("key", b"old", version_id="v/1+")
    stub.objects.put("key", b"newer", version_id="v2")
    looked = await catalog.look("stub", "key", "v/1+")
    assert (looked.size, looked.etag, looked.version_id) == (3, old.etag, "v/1+")
    message = await fails_with(NoSuchObject, catalog.look("stub", "key", "v3"))
    assert message == "s3://stub/key (version v3) does not exist"


async def test_look_for_what_is_not_there(stub: LyingS3, catalog: S3Catalog) -> None:
    assert await fails_with(NoSuchObject, catalog.look("stub", "key")) == "s3://stub/key does not exist"
    assert await fails_with(NoSuchBucket, catalog.look("another", "key")) == "s3://another does not exist"


async def test_look_at_what_is_denied(stub: LyingS3, catalog: S3Catalog) -> None:
    fill(stub, ["key"])
    stub.on(heads(), lies.refuse(403, "AccessDenied"))
    message = await fails_with(AccessDenied, catalog.look("stub", "key"))
    assert message.startswith("s3://stub/key: S3 says access denied; allow s3:GetObject")


async def test_look_at_a_delete_marker(stub: LyingS3, catalog: S3Catalog) -> None:
    fill(stub, ["key"])
    stub.on(heads(), lies.refuse(405, "MethodNotAllowed"))
    assert "s3://stub/key" in await fails_with(NoSuchObject, catalog.look("stub", "key", "v1"))
