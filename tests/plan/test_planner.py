"""The planner on a catalog in memory: keys, sizes, failures and numbers that no S3 server here gives."""

import asyncio
from typing import Any

import pytest

from bucketzip.archive.manifest import READ_AHEAD_BYTES
from bucketzip.errors import (
    AccessDenied,
    BucketzipError,
    NoSuchObject,
    NothingToZip,
    ObjectArchived,
)
from bucketzip.plan.catalog import Listed
from bucketzip.plan.planner import SHOWN, Planner
from bucketzip.plan.request import DownloadRequest
from tests.plan.planning import SOME_TIME, Shelf, discovery, listed, plan

LARGE = READ_AHEAD_BYTES + 1


async def names_of(*keys: str, url: str = "s3://bucket", **fields: Any) -> dict[str, str]:
    """Return the name that each key gets."""
    planned = await plan(Shelf(*keys), url, **fields)
    return {key: name for name, key in planned.keys.items()}


async def test_keys_that_lead_outside_stay_inside() -> None:
    assert await names_of("../../etc/passwd", "/etc/passwd", "a/../../b", "..", "C:/Windows/x", "C:\\x") == {
        "../../etc/passwd": "_/_/etc/passwd",
        "/etc/passwd": "etc/passwd",
        "a/../../b": "a/_/_/b",
        "..": "_ (2)",
        "C:/Windows/x": "C_/Windows/x",
        "C:\\x": "C__x",
    }


async def test_keys_that_no_file_system_takes_get_a_name() -> None:
    assert await names_of("a//b", "a/./b", "x\\y", "x\ny\x00z", "//", "/") == {
        "a//b": "a/b",
        "a/./b": "a/b (2)",
        "x\\y": "x_y",
        "x\ny\x00z": "x_y_z",
        "//": "_",
        "/": "_ (2)",
    }


async def test_an_odd_key_in_a_folder_is_named_below_it() -> None:
    assert await names_of("a/../b", "a//b", url="s3://bucket/a") == {"a/../b": "a/_/b", "a//b": "a/b"}
    assert await names_of("a/../b", "a//b", url="s3://bucket/a/") == {"a/../b": "_/b", "a//b": "b"}
    assert await names_of("a/../b", url="s3://bucket/a/..*") == {"a/../b": "_/b"}


async def test_the_longest_key_of_the_deepest_path() -> None:
    key = "a/" * 511 + "bc"
    assert await names_of(key, root="r/" * 500, url="s3://bucket/*") == {key: "r/" * 500 + key}


async def test_a_marker_with_bytes_is_an_object() -> None:
    """Nothing that has bytes is left out silently, whatever its key."""
    planned = await plan(Shelf(listed("dir/", size=5), "dir/a"), "s3://bucket")
    assert planned.keys == {"dir": "dir/", "dir (2)/a": "dir/a"}
    planned = await plan(Shelf(listed("dir/", size=5), "dir/a"), "s3://bucket/dir/")
    assert planned.keys == {"dir": "dir/", "a": "dir/a"}
    planned = await plan(Shelf(listed("x/dir/", size=5), "x/dir/a"), "s3://bucket", flatten=True, root="root")
    assert planned.keys == {"root/dir": "x/dir/", "root/a": "x/dir/a"}


async def test_the_same_folder_twice_is_one_entry_and_no_mistake() -> None:
    shelf = Shelf(listed("empty/", size=0), "a")
    planned = await plan(shelf, "s3://bucket/a", "s3://bucket/empt*", "s3://bucket/empt*")
    assert planned.names == ["a", "empty/"]


async def test_folders_alone_flattened_are_nothing() -> None:
    with pytest.raises(NothingToZip):
        await plan(Shelf(listed("empty/", size=0)), "s3://bucket", flatten=True)
    assert (await plan(Shelf(listed("empty/", size=0)), "s3://bucket")).names == ["empty/"]


@pytest.mark.parametrize(
    ("glob", "matched"),
    [
        ("*", {"a.txt", "d/a.txt", "d/e/a.txt", ".h/a.txt", "x/../a.txt", "d/e/b.jpg"}),
        ("*.txt", {"a.txt", "d/a.txt", "d/e/a.txt", ".h/a.txt", "x/../a.txt"}),
        ("/*.txt", {"a.txt"}),
        ("/a.txt", {"a.txt"}),
        ("d/*", {"d/a.txt"}),
        ("/d/*", {"d/a.txt"}),
        ("d/**", {"d/a.txt", "d/e/a.txt", "d/e/b.jpg"}),
        ("**/a.txt", {"a.txt", "d/a.txt", "d/e/a.txt", ".h/a.txt", "x/../a.txt"}),
        ("d/**/a.txt", {"d/a.txt", "d/e/a.txt"}),
        ("e/", {"d/e/a.txt", "d/e/b.jpg"}),
        ("/e/", set()),
        ("d/e/", {"d/e/a.txt", "d/e/b.jpg"}),
        ("/d/", {"d/a.txt", "d/e/a.txt", "d/e/b.jpg"}),
        (".*/", {".h/a.txt"}),
        ("x/*/a.txt", {"x/../a.txt"}),
        ("x/../a.txt", {"x/../a.txt"}),
        ("[ab].jpg", {"d/e/b.jpg"}),
        ("?.jpg", {"d/e/b.jpg"}),
        ("B.jpg", set()),
        ("d", set()),
        ("!*.txt", set()),
        ("{a,b}.jpg", set()),
        ("a", set()),
    ],
)
async def test_globs(glob: str, matched: set[str]) -> None:
    keys = ["a.txt", "d/a.txt", "d/e/a.txt", ".h/a.txt", "x/../a.txt", "d/e/b.jpg"]

    async def chosen(**globs: list[str]) -> set[str]:
        try:
            return set((await plan(Shelf(*keys), {"url": "s3://bucket", **globs})).keys.values())
        except NothingToZip:
            return set()

    assert await chosen(include=[glob]) == matched
    assert await chosen(exclude=[glob]) == set(keys) - matched


async def test_as_many_globs_as_are_allowed() -> None:
    globs = [f"*.{number}" for number in range(1000)]
    planned = await plan(Shelf("a.999", "a.1000"), {"url": "s3://bucket", "include": globs})
    assert planned.names == ["a.999"]


async def test_globs_see_the_name_in_the_source_and_not_in_the_archive() -> None:
    shelf = Shelf("dir/a.txt", "dir/b.txt")
    planned = await plan(shelf, {"url": "s3://bucket/dir", "include": ["/a.txt"], "name": "n", "prefix": "p"}, root="r")
    assert planned.names == ["r/p/n/a.txt"]


async def test_an_archived_object_is_missing_by_name() -> None:
    shelf = Shelf("a", listed("dir/cold", archived=True), listed("dir/large and cold", archived=True, size=LARGE))
    with pytest.raises(ObjectArchived) as caught:
        await plan(shelf, "s3://bucket")
    assert "s3://bucket/dir/cold is archived; restore it first" in str(caught.value)
    planned = await plan(shelf, "s3://bucket", on_missing="skip")
    assert planned.names == ["a", "MISSING.txt"]
    assert "s3://bucket/dir/cold\tobject_archived\t" in planned.text("MISSING.txt")
    assert "dir/large and cold" in planned.text("MISSING.txt")


async def test_an_error_names_a_few_and_counts_the_rest() -> None:
    with pytest.raises(NoSuchObject) as caught:
        await plan(Shelf(), *(f"s3://bucket/gone-{number}" for number in range(SHOWN + 5)))
    said = str(caught.value)
    assert f"gone-{SHOWN - 1};" in said
    assert f"gone-{SHOWN} " not in said
    assert "; and 5 more" in said
    planned = await plan(Shelf(), *(f"s3://bucket/gone-{number}" for number in range(SHOWN + 5)), on_missing="skip")
    assert f"gone-{SHOWN + 4}\t" in planned.text("MISSING.txt"), "the list has them all"


async def test_the_list_of_the_missing_is_dated_by_the_newest_object() -> None:
    shelf = Shelf(listed("a", mtime=SOME_TIME), listed("b", mtime=SOME_TIME + 5), listed("c", mtime=SOME_TIME + 2))
    planned = await plan(shelf, "s3://bucket", "s3://bucket/gone", on_missing="skip")
    assert planned.manifest.mtime(planned.entries["MISSING.txt"]) == SOME_TIME + 5
    nothing = await plan(Shelf(), "s3://bucket/gone", on_missing="skip")
    assert nothing.manifest.mtime(0) == 315_532_800  # 1980: no object, and no clock either


async def test_access_denied_is_no_missing_source() -> None:
    class Denied(Shelf):
        async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
            raise AccessDenied(f"s3://{bucket}/{key}: no")

    with pytest.raises(AccessDenied, match="s3://bucket/a: no"):
        await plan(Denied("a"), "s3://bucket/a", on_missing="skip")


async def test_only_what_is_large_and_may_have_a_crc_is_looked_at() -> None:
    shelf = Shelf(
        listed("small", size=READ_AHEAD_BYTES, may_have_crc=True),
        listed("large", size=LARGE, may_have_crc=True),
        listed("large without", size=LARGE),
        listed("large, known", size=LARGE, may_have_crc=True, crc=5),
        listed("large, cold", size=LARGE, may_have_crc=True, archived=True),
        looks=[listed("large", size=LARGE, crc=7, etag='"as looked at"')],
    )
    planned = await plan(shelf, "s3://bucket", on_missing="skip")
    assert shelf.looked_at == ["large"]
    crcs = {name: planned.manifest.crc(entry) for name, entry in planned.entries.items() if name != "MISSING.txt"}
    assert crcs == {"small": None, "large": 7, "large without": None, "large, known": 5}
    assert planned.source("large").etag == '"as looked at"', "the CRC is of the version that was looked at"


async def test_an_object_of_its_own_url_is_looked_at_once() -> None:
    shelf = Shelf(listed("large", size=LARGE, may_have_crc=True, crc=None))
    await plan(shelf, "s3://bucket/large")
    assert shelf.looked_at[0] == "large"
    assert len(shelf.looked_at) <= 2


class Vanishing(Shelf):
    """What is looked at is gone; the answers come in the order of the objects, or against it."""

    def __init__(self, *, backwards: bool) -> None:
        super().__init__(*(listed(f"{number}", size=LARGE, may_have_crc=True) for number in range(6)))
        self.PAGE = 6
        self._backwards = backwards

    async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
        turn = int(key) if not self._backwards else 6 - int(key)
        for _ in range(turn * 3):
            await asyncio.sleep(0)
        raise NoSuchObject(f"s3://{bucket}/{key} does not exist")


async def test_what_vanishes_while_it_is_planned_is_missing_in_the_order_of_the_objects() -> None:
    one, other = [
        await plan(Vanishing(backwards=backwards), "s3://bucket", on_missing="skip") for backwards in (False, True)
    ]
    lines = one.text("MISSING.txt").splitlines()[2:]
    assert [line.partition("\t")[0] for line in lines] == [f"s3://bucket/{number}" for number in range(6)]
    assert one.etag == other.etag
    with pytest.raises(NoSuchObject, match="s3://bucket/0 does not exist"):
        await plan(Vanishing(backwards=True), "s3://bucket")


async def test_one_failed_look_ends_the_others() -> None:
    class Failing(Shelf):
        ended = 0

        async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
            if key == "0":
                raise AccessDenied("no")
            try:
                await asyncio.Event().wait()
            finally:
                self.ended += 1
            raise AssertionError

    shelf = Failing(*(listed(f"{number}", size=LARGE, may_have_crc=True) for number in range(2)))
    before = asyncio.all_tasks()
    with pytest.raises(AccessDenied):
        await plan(shelf, "s3://bucket")
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert shelf.ended == 1


async def test_pages_do_not_decide_the_archive() -> None:
    keys = [f"{number % 3}/{number}" for number in range(20)]
    small, large = Shelf(*keys), Shelf(*keys)
    large.PAGE = 1000
    assert (await plan(small, "s3://bucket")).etag == (await plan(large, "s3://bucket")).etag


async def test_a_time_before_1970_is_planned() -> None:
    planned = await plan(Shelf(listed("a", mtime=-5), listed("b", mtime=1 << 40)), "s3://bucket")
    assert [planned.manifest.mtime(0), planned.manifest.mtime(1)] == [0, 0xFFFF_FFFF]


async def test_the_error_is_of_the_kind_of_the_first_missing() -> None:
    shelf = Shelf(listed("cold", archived=True))
    for urls, kind in (
        (["s3://bucket/cold", "s3://bucket/gone"], ObjectArchived),
        (["s3://bucket/gone", "s3://bucket/cold"], NoSuchObject),
    ):
        with pytest.raises(BucketzipError) as caught:
            await plan(shelf, *urls)
        assert type(caught.value) is kind
        assert "cold" in str(caught.value)
        assert "gone" in str(caught.value)


async def test_a_planner_takes_any_catalog() -> None:
    """The port is all it knows: what implements it needs no S3."""
    builder = await Planner(
        DownloadRequest.model_validate({"sources": ["s3://bucket/a"]}), Shelf("a"), discovery()
    ).plan()
    assert len(builder) == 1


async def test_many_sources_are_looked_at_side_by_side_and_stay_in_order() -> None:
    """A thousand single objects must not cost two thousand round trips one after the other."""
    running = most = 0

    class Slow(Shelf):
        async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1
            return await super().look(bucket, key, version_id)

    keys = [f"{number:03}.txt" for number in reversed(range(200))]
    planned = await plan(Slow(*keys), *(f"s3://shelf/{key}" for key in keys))
    assert planned.names == keys
    assert most >= 8
