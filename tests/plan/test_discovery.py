"""Where CRCs come from decides forms only by what everybody is told; and what it came to is counted."""

from collections.abc import Sequence

import pytest

from bucketzip.archive.manifest import READ_AHEAD_BYTES, Source
from bucketzip.plan.catalog import Listed
from tests.plan.planning import Memory, Planned, Shelf, discovery, listed, plan

LARGE = READ_AHEAD_BYTES + 1
URL = "s3://bucket/"


class Copies:
    """S3 that computes CRCs: 1000 and the key's number, but not of those that it may not read."""

    quick = True

    def __init__(self, *, works: bool = True, denied: Sequence[str] = ()) -> None:
        self.samples: list[tuple[str, int]] = []
        self.asked: list[str] = []
        self._works = works
        self._denied = denied

    async def proven(self, sample: Source, size: int) -> bool:
        self.samples.append((sample.key, size))
        return self._works

    async def compute(self, objects: Sequence[tuple[Source, int]]) -> list[int | None]:
        self.asked += [source.key for source, _ in objects]
        return [None if source.key in self._denied else 1000 + int(source.key) for source, _ in objects]


def crcs(planned: Planned) -> dict[str, tuple[int | None, bool]]:
    """CRC and whether it comes behind the content, by name."""
    manifest = planned.manifest
    return {name: (manifest.crc(entry), manifest.late(entry)) for name, entry in planned.entries.items()}


def large(*keys: int, size: int = LARGE) -> list[Listed]:
    return [listed(f"{key}", size=size) for key in keys]


async def test_each_way_is_counted() -> None:
    found = discovery(Memory({"3": 3, "4": 4}), Copies())
    shelf = Shelf(
        listed("0", size=10, crc=7),
        listed("1", size=LARGE, crc=8, crc_rebuilt=True, version_id="v"),
        listed("2", size=0),
        listed("3", size=10),
        *large(4, 5),
        listed("6", size=10),
    )
    planned = await plan(shelf, URL, crcs=found)
    assert found.summary.crc == {"stored": 1, "rebuilt": 1, "cached": 1, "copied": 1, "computed": 2}
    assert found.summary.pinned == {"version": 1, "etag": 6}
    assert crcs(planned) == {
        "0": (7, False),
        "1": (8, False),
        "2": (0, False),
        "3": (None, False),
        "4": (4, False),
        "5": (1005, False),
        "6": (None, False),
    }


async def test_what_was_learned_by_reading_moves_no_byte_of_the_archive() -> None:
    shelf = Shelf(*large(1, 2), listed("3", size=10))
    fresh = await plan(shelf, URL)
    after = await plan(shelf, URL, crcs=discovery(Memory({"1": 11, "3": 33})))
    assert after.etag == fresh.etag
    assert crcs(after) == {"1": (11, True), "2": (None, True), "3": (None, False)}


async def test_nor_does_it_where_s3_computes() -> None:
    shelf = Shelf(*large(1, 2))
    memory = Memory()
    first, second = Copies(), Copies()
    fresh = await plan(shelf, URL, crcs=discovery(memory, first))
    assert memory.learned == {"1": 1001, "2": 1002}, "it is not computed again"
    after = await plan(shelf, URL, crcs=discovery(memory, second))
    assert after.etag == fresh.etag
    assert crcs(after) == crcs(fresh) == {"1": (1001, False), "2": (1002, False)}
    assert (first.asked, second.asked) == (["1", "2"], [])


async def test_small_entries_are_read_anyway() -> None:
    copies = Copies()
    await plan(Shelf(listed("1", size=READ_AHEAD_BYTES)), URL, crcs=discovery(remote=copies))
    assert (copies.samples, copies.asked) == ([], [])


@pytest.mark.parametrize(("most_bytes", "asked"), [(2 * LARGE, ["1", "2"]), (2 * LARGE - 1, [])])
async def test_too_much_is_not_copied_and_then_nothing_is(most_bytes: int, asked: list[str]) -> None:
    """An archive without descriptors opens everywhere, one with fewer of them does not."""
    copies = Copies()
    shelf = Shelf(listed("0", size=LARGE, crc=7), *large(1, 2))
    planned = await plan(shelf, URL, crcs=discovery(remote=copies, most_bytes=most_bytes))
    assert copies.asked == asked
    assert [late for _, late in crcs(planned).values()] == [False, not asked, not asked]


async def test_that_limit_does_not_count_less_when_some_are_known() -> None:
    shelf = Shelf(*large(1, 2))
    fresh = await plan(shelf, URL, crcs=discovery(remote=Copies(), most_bytes=LARGE))
    after = await plan(shelf, URL, crcs=discovery(Memory({"1": 11}), Copies(), most_bytes=LARGE))
    assert after.etag == fresh.etag


async def test_where_copies_are_not_to_be_trusted_there_are_none() -> None:
    copies = Copies(works=False)
    found = discovery(Memory({"1": 11}), copies)
    planned = await plan(Shelf(*large(1, 2)), URL, crcs=found)
    assert copies.asked == []
    assert crcs(planned) == {"1": (11, True), "2": (None, True)}
    assert found.summary.crc["cached"] == found.summary.crc["computed"] == 1


async def test_what_may_not_be_copied_is_read() -> None:
    found = discovery(remote=Copies(denied=["2"]))
    planned = await plan(Shelf(*large(1, 2)), URL, crcs=found)
    assert crcs(planned) == {"1": (1001, False), "2": (None, True)}
    assert found.summary.crc["copied"] == found.summary.crc["computed"] == 1


async def test_copying_is_tried_with_what_stores_a_crc() -> None:
    """Some servers take that for the copy's."""
    copies = Copies()
    shelf = Shelf(*large(1), listed("2", size=LARGE + 1, crc=7), listed("3", size=LARGE + 2, crc=8))
    await plan(shelf, URL, crcs=discovery(remote=copies))
    assert copies.samples == [("2", LARGE + 1)]


async def test_each_bucket_is_tried_by_itself() -> None:
    copies = Copies()
    await plan(Shelf(*large(1)), "s3://one/", {"url": "s3://two/", "prefix": "b"}, crcs=discovery(remote=copies))
    assert copies.asked == ["1", "1"]
    assert len(copies.samples) == 2


@pytest.mark.parametrize("size", [10, LARGE])
async def test_what_s3_told_wrongly_is_read(size: int) -> None:
    shelf = Shelf(listed("1", size=size, crc=7))
    trusted = await plan(shelf, URL)
    copies = Copies()
    found = discovery(Memory(refuted=["1"]), copies)
    planned = await plan(shelf, URL, crcs=found)
    assert planned.etag != trusted.etag
    assert crcs(planned) == {"1": (None, size == LARGE)}
    assert found.summary.crc["computed"] == 1
    assert copies.asked == [], "nor is it asked again"
    again = await plan(shelf, URL, crcs=discovery(Memory({"1": 9}, refuted=["1"])))
    assert again.etag == planned.etag
    assert crcs(again) == {"1": (9, size == LARGE)}
