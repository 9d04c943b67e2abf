"""Built parts are slices of the archive, whichever part of whatever archive they are, and whatever is known of it."""

import asyncio
import gc
import random
import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive.crc import crc32
from bucketzip.archive.layout import Layout
from bucketzip.archive.limits import Limits
from bucketzip.archive.parts import Kind, Part, plan_parts
from bucketzip.archive.pieces import Pieces
from bucketzip.archive.segments import Span
from bucketzip.errors import ContentMismatch, SourceChanged
from bucketzip.jobs.building import Told, read_content, write_records
from bucketzip.transfer.budget import Budget
from bucketzip.transfer.crcs import Crcs
from bucketzip.transfer.fetch import Fetch
from bucketzip.transfer.pump import Engine
from tests.archive.rendering import SOME_TIME, Entry, built, read_back, slice_of_bytes

MIB = 1 << 20
LIMITS = Limits(least_bytes=400, built_bytes=1000, copied_bytes=1500, most_bytes=20_000, most_parts=1000)
SIZES = st.sampled_from([0, 1, 100, 399, 400, 800, 1200, 5000])


class InMemory:
    """A reader of objects whose bytes come a few at a time, in any order."""

    def __init__(self, contents: Mapping[str, bytes], dice: random.Random, most: int = 2000) -> None:
        self._contents = contents
        self._dice = dice
        self._most = most
        self.under_way: list[Fetch] = []
        self.changed: set[str] = set()

    def start(self, fetch: Fetch) -> None:
        self.under_way.append(fetch)
        asyncio.get_running_loop().call_soon(self._some)

    def cancel(self, fetch: Fetch) -> None:
        self.under_way.remove(fetch)

    def _some(self) -> None:
        if not self.under_way:
            return
        fetch = self._dice.choice(self.under_way)
        key, content = fetch.source.key, self._contents[fetch.source.key][fetch.start : fetch.stop]
        if key in self.changed:
            fetch.fail(SourceChanged(key))
        elif fetch.small:
            fetch.deliver(content)
        else:
            room = fetch.room()
            count = min(len(room), self._dice.randint(1, self._most))
            room[:count] = content[fetch.received : fetch.received + count]
            fetch.filled(count)
        if fetch.complete or fetch.error is not None:
            self.under_way.remove(fetch)
        if self.under_way:
            asyncio.get_running_loop().call_soon(self._some)


class Building:
    """An archive in the order given, and what makes its parts."""

    def __init__(self, entries: Sequence[Entry], order: Sequence[int], seed: int = 0, *, most: int = 2000) -> None:
        builder = built(entries, descriptors=False)
        builder.arrange(order)
        self.layout = Layout(read_back(builder))
        self.entries = entries
        self.crcs = Crcs(self.layout.manifest, lambda: None)
        self.reader = InMemory({entry.name: entry.content for entry in entries}, random.Random(seed), most)
        self.engine = Engine(self.reader, Budget(64 * MIB, now=time.monotonic))

    def crc(self, entry: int) -> int:
        return crc32(self.entries[entry].content)

    def archive(self, start: int, stop: int) -> bytes:
        return slice_of_bytes(self.layout, self.entries, start, stop, self.crc)

    async def content(self, part: Part) -> tuple[bytearray, Told]:
        """All memory is given back, whatever comes of it."""
        try:
            return await read_content(self.engine, self.layout, self.crcs, part)
        finally:
            assert self.engine.budget.used_bytes == 0
            assert not self.reader.under_way

    async def part(self, part: Part) -> tuple[bytes, Told]:
        """The part; the CRCs that it tells of content elsewhere are learned in time."""
        body, told = await self.content(part)
        for entry in self.layout.told_elsewhere(part.start, part.stop):
            self.crcs.learn(entry, self.crc(entry))
        await write_records(self.layout, self.crcs, part, body)
        return bytes(body), told


@st.composite
def buildings(draw: st.DrawFn) -> Building:
    made = []
    dice = random.Random(draw(st.integers(0, 9)))
    for number, size in enumerate(draw(st.lists(SIZES, min_size=1, max_size=12))):
        kind = draw(st.sampled_from(["known", "unknown", "unknown", "inline"]))
        content = dice.randbytes(size)
        made.append(Entry(f"{number} \u00fc", content, crc_known=kind == "known", inline=kind == "inline"))
    return Building(made, draw(st.permutations(range(len(made)))), draw(st.integers(0, 9)))


@given(buildings(), st.data())
@settings(max_examples=150, deadline=None)
def test_any_slice_can_be_built(building: Building, data: st.DataObject) -> None:
    size = building.layout.size
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    body, told = asyncio.run(building.part(Part(Kind.MIXED, start, stop)))
    assert body == building.archive(start, stop)
    spans = [segment for segment in building.layout.cut(start, stop) if isinstance(segment, Span)]
    assert told == [(span, crc32(building.entries[span.entry].content[span.start : span.stop])) for span in spans], (
        "it tells the CRC of whatever content it has"
    )


@given(buildings(), st.sets(st.integers(0, 11)), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_parts_in_turns_know_all_that_they_tell(building: Building, copied: set[int], dice: random.Random) -> None:
    """Copies, then content, then headers, then the directory; of a kind in any order. Nothing is read twice."""
    parts = plan_parts(building.layout, may_copy=copied.__contains__, limits=LIMITS)
    dice.shuffle(parts)
    pieces, bodies = Pieces(building.layout.manifest.sizes), {}

    def tell(told: Told) -> None:
        for span, crc in told:
            if (whole := pieces.add(span, crc)) is not None:
                building.crcs.learn(span.entry, whole)

    async def make(part: Part) -> None:
        if part.kind is Kind.COPIED:
            assert part.content is not None
            bodies[part.start] = building.archive(part.start, part.stop)
            tell([(part.content, crc32(bodies[part.start]))])
            return
        body, told = await building.content(part)
        tell(told)
        await write_records(building.layout, building.crcs, part, body)
        bodies[part.start] = bytes(body)

    async def make_all() -> None:
        for part in sorted(parts, key=lambda part: part.kind):
            await make(part)

    asyncio.run(make_all())
    assert b"".join(bodies[start] for start in sorted(bodies)) == building.archive(0, building.layout.size)


def large(**fields: bool) -> Entry:
    return Entry("large.bin", random.Random(1).randbytes(MIB) * 20, mtime=SOME_TIME, **fields)


@pytest.mark.parametrize("crc_known", [False, True])
async def test_content_of_many_ranges(*, crc_known: bool) -> None:
    building = Building([Entry("a", b"a"), large(crc_known=crc_known), Entry("b", b"b")], [2, 1, 0], most=3 * MIB)
    body, _ = await building.part(Part(Kind.MIXED, 0, building.layout.size))
    assert body == building.archive(0, building.layout.size)
    body, told = await building.part(Part(Kind.CONTENT, 5 * MIB, 18 * MIB, Span(1, 0, 0)))
    assert body == building.archive(5 * MIB, 18 * MIB)
    assert [crc for _, crc in told] == [crc32(body)]


async def test_a_part_is_let_go_at_once() -> None:
    """Not when cycles of objects are collected: meanwhile there would be many parts, of up to 32 MiB each."""
    building = Building([large(crc_known=False)], [0], most=MIB)
    gc.disable()
    try:
        body, _ = await building.content(Part(Kind.MIXED, 0, building.layout.size))
        body.append(0)  # raises BufferError while somebody has a view of it
    finally:
        gc.enable()


async def test_content_that_is_not_what_was_known_of_it() -> None:
    building = Building([Entry("a", b"a" * 500), large()], [0, 1], most=MIB)
    contents = {"a": b"b" * 500, "large.bin": building.entries[1].content}
    building.reader._contents = contents
    with pytest.raises(ContentMismatch, match="s3://bucket/a"):
        await building.content(Part(Kind.MIXED, 0, building.layout.size))


async def test_a_source_that_changed() -> None:
    building = Building([Entry("a", b"a" * 500), large(crc_known=False)], [0, 1], most=MIB)
    building.reader.changed.add("large.bin")
    with pytest.raises(SourceChanged, match=r"large\.bin"):
        await building.content(Part(Kind.MIXED, 0, building.layout.size))
