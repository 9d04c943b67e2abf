"""The schedule: whatever comes in which order, with whatever memory, the bytes go out right and in order."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import Source
from bucketzip.errors import ContentMismatch
from bucketzip.transfer.blocks import SMALL_BODY_BYTES, BlockPool, memory
from bucketzip.transfer.crcs import Crcs
from bucketzip.transfer.fetch import Fetch, Piece
from bucketzip.transfer.schedule import Schedule
from tests.transfer.archives import content, lay_out, whole

MIB = 1 << 20
RANGE = MIB
GATHER = 256 << 10


class Bench:
    """Drives one schedule by hand, with a memory of `room` bytes."""

    def __init__(self, sizes: list[int], known: frozenset[int] = frozenset(), room: int = 1 << 40) -> None:
        self.layout = lay_out(sizes, known)
        crcs = Crcs(self.layout.manifest, lambda: None)
        self.schedule = Schedule(self.layout, crcs, self.layout.cut(0, self.layout.size))
        self.pool = BlockPool()
        self.room = room
        self.started: list[Fetch] = []
        self.urgent: list[bool] = []
        self.sent = bytearray()

    def reserve(self, count: int) -> bool:
        if count > self.room:
            return False
        self.room -= count
        return True

    def new_fetch(self, source: Source, start: int, stop: int, size: int, urgent: bool) -> Fetch:  # noqa: FBT001  -- the schedule's port
        self.urgent.append(urgent)
        return Fetch(source, start, stop, size=size, pool=self.pool, on_change=lambda _: None, urgent=urgent)

    def start(self, range_bytes: int = RANGE) -> bool:
        fetch = self.schedule.next_read(range_bytes, self.reserve, self.new_fetch)
        if fetch is not None:
            self.started.append(fetch)
        return fetch is not None

    def fill(self, index: int, most: int = 1 << 40, *, spoil: bool = False) -> None:
        """Let bytes come for one of the fetches under way."""
        fetch = self.started[index % len(self.started)]
        body = memoryview(content(int(fetch.source.key.rpartition("-")[2]), fetch.size))[fetch.start : fetch.stop]
        if spoil:
            body = memoryview(bytes([body[0] ^ 1]) + body[1:])
        if fetch.small:
            fetch.deliver(bytes(body))
        while not fetch.complete and most > 0:
            room = fetch.room()
            count = min(len(room), most)
            room[:count] = body[fetch.received : fetch.received + count]
            fetch.filled(count)
            most -= count
        if fetch.complete:
            self.started.remove(fetch)

    def take(self) -> int:
        out: list[Piece] = []
        freed = self.schedule.take(out, GATHER)
        for piece in out:
            self.sent += piece
            self.pool.give_back(piece)
        self.room += freed
        return len(out)

    def shed(self, keep: int) -> None:
        for fetch, freed in self.schedule.shed(keep):
            if fetch in self.started:
                self.started.remove(fetch)
            fetch.drop()
            self.room += freed

    def read_crc(self) -> bool:
        blocked = self.schedule.blocked()
        if blocked is not None:
            assert blocked.own
            self.schedule.learn(blocked.entry, crc32(content(blocked.entry, self.layout.manifest.sizes[blocked.entry])))
        return blocked is not None


sizes = st.lists(
    st.sampled_from(
        [0, 1, 100, SMALL_BODY_BYTES, SMALL_BODY_BYTES + 1, 200_000, MIB, MIB + 1, 5 * MIB + 10_000, 3 * MIB, 9 * MIB]
    ),
    min_size=1,
    max_size=12,
)


@given(sizes, st.sets(st.integers(0, 11)), st.integers(0, 12 * MIB), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_the_archive_goes_out_whatever_happens(sizes: list[int], known: set[int], room: int, seed: int) -> None:
    """Reads start, come in pieces, are shed and read again, with little memory or much: the bytes are the archive's."""
    chance = random.Random(seed)
    room = max(room, 512 << 10)
    bench = Bench(sizes, frozenset(known), room)
    for _ in range(100_000):
        if bench.schedule.finished:
            break
        step = chance.randrange(10)
        if step < 4:
            bench.start(chance.choice([MIB, 2 * MIB, 4 * MIB]))
        elif step < 7 and bench.started:
            bench.fill(chance.randrange(100), chance.choice([1, 70_000, 1 << 40]))
        elif step < 9:
            bench.take()
        elif chance.randrange(8) == 0:
            bench.shed(chance.choice([0, MIB]))
        elif not bench.started and not bench.start():
            bench.take()
            bench.read_crc()
    assert bench.schedule.finished
    assert bytes(bench.sent) == whole(bench.layout)
    assert bench.room == room, "all memory came back"


def test_a_held_entry_that_is_shed_gives_back_what_was_not_asked_for_too() -> None:
    bench = Bench([100, 5 * MIB + 10_000], room=8 * MIB)
    assert bench.start()
    assert bench.start()  # the first range of the second entry, with the memory for all of it
    bench.shed(0)
    assert bench.room == 8 * MIB - 100


def test_small_entries_are_read_ahead_across_entries() -> None:
    """A thousand small files must not cost a thousand round trips."""
    bench = Bench([1000] * 1000)
    started = sum(bench.start() for _ in range(1000))
    assert started == 1000


def test_what_goes_out_next_is_urgent_and_nothing_else() -> None:
    bench = Bench([2 * MIB, 100, 100])
    while bench.start():
        pass
    assert bench.urgent == [True, True, False, False]


def test_pieces_of_the_head_go_out_before_its_range_is_complete() -> None:
    bench = Bench([20 * MIB])
    bench.start()
    bench.fill(0, MIB // 2)
    bench.take()
    header = bench.layout.size - 20 * MIB
    assert 0 < len(bench.sent) < header, "the header alone, until a block is full"
    bench.fill(0, MIB)
    assert bench.take()


def test_a_held_entry_waits_for_its_crc() -> None:
    """Java's ZipInputStream needs it in front, so nothing of the entry goes out before all of it came."""
    bench = Bench([3 * MIB])
    while bench.start():
        pass
    bench.fill(0)
    bench.fill(0)
    assert bench.take() == 0
    bench.fill(0)
    assert bench.take()


def test_an_entry_too_large_for_the_memory_is_blocked_and_then_sent_in_small_reads() -> None:
    bench = Bench([3 * MIB], room=512 << 10)
    assert not bench.start()
    assert bench.take() == 0
    assert bench.read_crc()
    while not bench.schedule.finished:
        bench.start()
        assert sum(memory(piece) for fetch in bench.started for piece in fetch.pieces) <= 512 << 10
        if bench.started:
            bench.fill(0)
        bench.take()
    assert bytes(bench.sent) == whole(bench.layout)


def test_content_that_is_not_what_was_known_of_it_is_never_sent_to_its_end() -> None:
    bench = Bench([100_000], known=frozenset({0}))
    bench.start()
    bench.fill(0, spoil=True)
    with pytest.raises(ContentMismatch, match="s3://b/object-0"):
        bench.take()


def test_a_look_ahead_is_bounded() -> None:
    """A directory of a million records is not in memory at once."""
    bench = Bench([0] * 20_000 + [5])
    assert not bench.start()
    assert len(bench.schedule._queue) <= 4096
