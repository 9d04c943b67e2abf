"""Reads that are late: asked for again over another connection, within bounds, and never twice into one block.

All by a clock that the tests move: what is late here is not what this machine was too slow for.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from bucketzip.errors import S3Error
from bucketzip.s3.hedging import ENOUGH, MOST_SAVED
from bucketzip.s3.reader_options import ReaderLimits
from bucketzip.s3.stragglers import LEAST_SECONDS, LOOK_SECONDS
from tests.clock import Clock, standing_still
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.content import Synthetic
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import Lie, LyingS3, gets
from tests.s3.reading import Read, Reading, fails_with, of_stub, reading, stubbed

KIB, MIB = 1 << 10, 1 << 20
OBJECTS = {"small": Synthetic(10 * KIB, 1), "middle": Synthetic(200 * KIB, 2), "large": Synthetic(2 * MIB, 3)}
NEVER = lies.slow_first_byte(50)
LATE_SECONDS = LEAST_SECONDS + 2 * LOOK_SECONDS
"""After so long it is seen that something is late which otherwise takes no time."""


def both(first: Lie, second: Lie) -> Lie:
    return lambda asked, honest: second(asked, first(asked, honest))


def late(lie: Lie, seconds: float = 0.4) -> Lie:
    return both(lie, lies.slow_first_byte(seconds))


def honest(asked: Asked, reply: Reply) -> Reply:
    return reply


def start_of(asked: Asked) -> int:
    return int(asked.headers["Range"].removeprefix("bytes=").partition("-")[0])


@dataclass(frozen=True)
class Warm:
    """A reader that knows how long things take while all is well, and a store that has seen no request."""

    stub: LyingS3
    reader: Reading
    clock: Clock

    async def pass_until(self, condition: Callable[[], bool]) -> None:
        """Let time pass, but only while all that is in flight waits in the store."""
        await self.clock.run(condition, idle=lambda: self.stub.pausing == self.reader.in_flight)

    async def right(self, *reads: Read) -> None:
        """Let pass what time they take, and look at the bytes."""
        for read in reads:
            await self.pass_until(read.ended.is_set)
            await read.right()

    async def asked_twice(self) -> None:
        """Let just so much time pass that a request is late, and wait for the second one."""
        await self.clock.until(lambda: len(self.stub.requests) == 1)
        await self.clock.move(LATE_SECONDS)
        await self.clock.until(lambda: len(self.stub.requests) == 2)


@asynccontextmanager
async def warm(stub: LyingS3, *keys: str, connections: int = 4, **limits: float) -> AsyncIterator[Warm]:
    async with reading(of_stub(stub), connections=connections, **limits) as reader:
        with standing_still() as clock:
            for key in keys:
                for _ in range(ENOUGH):
                    await reader.start(stubbed(stub, key)).right()
            stub.requests.clear()
            stub.most_under_way = 0
            yield Warm(stub, reader, clock)


# Nothing has come yet


@pytest.mark.parametrize("key", OBJECTS)
async def test_the_second_request_wins(key: str) -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, key) as now:
        reader = now.reader
        stub.on(gets(), NEVER, times=1)
        had = reader.received_bytes()
        read = reader.start(stubbed(stub, key), 7)
        await now.asked_twice()
        await read.right()
        assert reader.hedges() == (1, 1)
        first, second = stub.requests
        for name in ("Range", "If-Match"):
            assert first.headers[name] == second.headers[name]
        await now.clock.until(lambda: first.client_left)
        assert reader.received_bytes() - had == OBJECTS[key].size - 7
        assert reader.outcomes("ok") == ENOUGH + 1
        await reader.start(stubbed(stub, key)).right()


@pytest.mark.parametrize("key", OBJECTS)
async def test_the_second_request_loses(key: str) -> None:
    go_on = asyncio.Event()
    async with LyingS3(OBJECTS) as stub, warm(stub, key) as now:
        stub.on(gets(), lies.held(go_on), times=1)
        stub.on(gets(), NEVER, skip=1, times=1)
        read = now.reader.start(stubbed(stub, key))
        await now.asked_twice()
        go_on.set()
        await read.right()
        assert now.reader.hedges() == (1, 0)
        await now.clock.until(lambda: stub.requests[1].client_left)
        assert not stub.requests[0].client_left
        assert now.reader.reader.open_connections >= 1


@pytest.mark.parametrize("key", OBJECTS)
@pytest.mark.parametrize("fails", [0, 1])
@pytest.mark.parametrize(
    "failure",
    [
        lies.refuse(412, "PreconditionFailed"),
        lies.refuse(403, "AccessDenied"),
        lies.slow_down(),
        lies.internal_error(),
        lies.cut_short(0),
        lies.garbage_head(),
        lies.other_etag(),
    ],
)
async def test_one_of_the_two_fails(key: str, fails: int, failure: Lie) -> None:
    """Whichever it is, and even where that would be final: the read is the other's, and no try was lost."""
    go_on = asyncio.Event(), asyncio.Event()
    async with LyingS3(OBJECTS) as stub, warm(stub, key, tries=1, slow_down_seconds=0) as now:
        for number in range(2):
            answer = failure if number == fails else honest
            stub.on(gets(), both(answer, lies.held(go_on[number])), skip=number, times=1)
        read = now.reader.start(stubbed(stub, key))
        await now.asked_twice()
        go_on[fails].set()
        await now.clock.until(lambda: now.reader.in_flight == 1)
        go_on[1 - fails].set()
        await read.right()
        assert now.reader.hedges() == (1, 0)
        assert len(stub.requests) == 2


@pytest.mark.parametrize("key", OBJECTS)
async def test_both_fail(key: str) -> None:
    """That is one failure."""
    async with LyingS3(OBJECTS) as stub, warm(stub, key, tries=2) as now:
        reader = now.reader
        stub.on(gets(), late(lies.internal_error()), times=1)
        stub.on(gets(), lies.internal_error(), skip=1, times=1)
        await now.right(reader.start(stubbed(stub, key)))
        assert (reader.retries("s3_error"), reader.outcomes("s3_error")) == (1, 2)
        stub.on(gets(), late(lies.internal_error()))
        assert "InternalError" in await fails_with(S3Error, now.right(reader.start(stubbed(stub, key))))


@pytest.mark.parametrize("key", OBJECTS)
async def test_cancelled_with_both_in_flight(key: str) -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, key) as now:
        stub.on(gets(), NEVER)
        read = now.reader.start(stubbed(stub, key))
        await now.asked_twice()
        assert stub.under_way == 2
        read.cancel()
        await now.clock.until(lambda: stub.under_way == 0)
        assert all(asked.client_left for asked in stub.requests)
        stub.stop_lying()
        await now.reader.start(stubbed(stub, key)).right()


async def test_cancelled_while_the_second_waits_for_a_connection() -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", connections=1) as now:
        stub.on(gets(), NEVER)
        read = now.reader.start(stubbed(stub, "small"))
        (endpoint,) = now.reader.reader._pool._endpoints.values()
        await now.clock.until(lambda: stub.under_way == 1)
        await now.clock.move(LATE_SECONDS)
        assert len(endpoint._hedges) == 1
        read.cancel()
        assert not endpoint._hedges
        await now.clock.until(lambda: now.reader.reader.open_connections == 0)
        assert now.reader.hedges() == (0, 0)
        assert len(stub.requests) == 1


async def test_cancelled_by_the_last_piece_of_the_winner() -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", "middle") as now:
        for key in ("small", "middle"):
            stub.requests.clear()
            stub.on(gets(key), NEVER, times=1)
            read = now.reader.start(stubbed(stub, key))
            taken = read.fetch.on_change

            def take_and_cancel(_: object, read=read, taken=taken) -> None:  # type: ignore[no-untyped-def]
                taken(read.fetch)
                now.reader.reader.cancel(read.fetch)

            read.fetch.on_change = take_and_cancel
            await now.asked_twice()
            await read.right()
        await now.clock.until(lambda: stub.under_way == 0)


# Bounds


@pytest.mark.parametrize("urgent", [False, True])
async def test_reads_that_wait_go_first_unless_somebody_waits_for_this_one(urgent: bool) -> None:  # noqa: FBT001
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", connections=2) as now:
        stub.on(gets("small"), NEVER, times=1)
        stub.on(gets("small"), lies.slow_first_byte(0.02), skip=1)
        small = stubbed(stub, "small")
        straggler = now.reader.start(small, urgent=urgent)
        others = [now.reader.start(small, at) for at in range(1, 31)]
        await now.right(straggler, *others)
        starts = [start_of(asked) for asked in stub.requests]
        assert starts[0] == 0
        assert starts.count(0) == 2
        assert starts.index(0, 1) < 20 if urgent else starts.index(0, 1) == 31


async def test_none_where_s3_says_slow_down() -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", "middle") as now:
        stub.on(gets(), lies.slow_down(), times=1)
        await now.right(now.reader.start(stubbed(stub, "small")))
        stub.on(gets(), late(honest))
        for key in ("small", "middle"):
            await now.right(now.reader.start(stubbed(stub, key)))
        assert now.reader.hedges() == (0, 0)


@pytest.mark.parametrize("share", [0, 0.05])
async def test_a_bounded_share(share: float) -> None:
    """All of S3 has become slow: that is learned, and not answered with twice the load."""
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", connections=100, hedging=share) as now:
        stub.on(gets(), late(honest, 0.15))
        for _ in range(3):
            await now.right(*[now.reader.start(stubbed(stub, "small"), at) for at in range(40)])
        sent, _ = now.reader.hedges()
        assert 0 < sent <= MOST_SAVED + share * (ENOUGH + 120) if share else sent == 0


async def test_what_was_not_needed_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hedges that never got a connection do not use up the share."""
    monkeypatch.setattr("bucketzip.s3.hedging.MOST_SAVED", 1.0)
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", connections=1, hedging=0.001) as now:
        small = stubbed(stub, "small")
        (endpoint,) = now.reader.reader._pool._endpoints.values()
        stub.on(gets(), late(honest, 0.2))
        for _ in range(3):
            read = now.reader.start(small)
            await now.pass_until(lambda: len(endpoint._hedges) == 1)
            await now.right(read)
        assert now.reader.hedges() == (0, 0)


async def test_slow_from_the_start_is_not_late() -> None:
    """Before anything is known, and where everything takes as long."""
    async with LyingS3(OBJECTS) as stub, warm(stub, connections=16) as now:
        stub.on(gets(), late(honest, 0.2))
        for _ in range(4):
            await now.right(*[now.reader.start(stubbed(stub, "small"), at) for at in range(16)])
        assert now.reader.hedges() == (0, 0)


@pytest.mark.parametrize("key", OBJECTS)
async def test_where_this_process_was_late_nobody_else_is(key: str) -> None:
    """A loop that was stuck has not heard what came meanwhile: neither is asked for again, nor given up."""
    go_on = asyncio.Event()
    async with LyingS3(OBJECTS) as stub, warm(stub, key) as now:
        stub.on(gets(), lies.held(go_on))
        read = now.reader.start(stubbed(stub, key))
        await now.clock.until(lambda: stub.under_way == 1)
        for _ in range(3):
            await now.clock.jump(ReaderLimits().stall_seconds)
        go_on.set()
        await read.right()
        assert now.reader.hedges() == (0, 0)
        assert now.reader.retries("stall") == 0


# The body crawls


async def test_a_crawling_body_moves_and_goes_on_from_the_byte_reached() -> None:
    async with LyingS3({**OBJECTS, "huge": Synthetic(6 * MIB, 4)}) as stub, warm(stub, "large") as now:
        reader = now.reader
        stub.on(gets("huge"), lies.crawling(0.25), times=1)
        began, had = now.clock.now, reader.received_bytes()
        await now.right(reader.start(stubbed(stub, "huge")))
        assert now.clock.now - began < 4  # instead of 6
        assert (reader.retries("crawl"), reader.outcomes("crawl")) == (1, 1)
        first, second = stub.requests
        assert start_of(second) > start_of(first) == 0
        assert first.headers["If-Match"] == second.headers["If-Match"]
        assert first.client_left
        assert reader.received_bytes() - had == 6 * MIB
        assert reader.hedges() == (0, 0)


async def test_a_body_that_stops_moves_too() -> None:
    """Long before the time limit for a connection that brings nothing."""
    async with LyingS3(OBJECTS) as stub, warm(stub, "large") as now:
        stub.on(gets(), lies.stalled(MIB), times=1)
        await now.right(now.reader.start(stubbed(stub, "large")))
        assert now.reader.retries("crawl") == 1
        assert now.reader.retries("stall") == 0


async def test_no_body_moves_where_that_is_off() -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, "large", hedging=0) as now:
        stub.on(gets(), lies.crawling(0.15), times=1)
        await now.right(now.reader.start(stubbed(stub, "large")))
        assert len(stub.requests) == 1


# All at once


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_the_bytes_are_right(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lies by chance, reads of all sizes, some of them cancelled; what is written after its end would show."""
    monkeypatch.setattr("bucketzip.s3.retry.FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("bucketzip.s3.hedging.MOST_SAVED", 100.0)
    monkeypatch.setattr("bucketzip.s3.reader.WATCH_SECONDS", 0.05)
    chance = random.Random(seed)
    trouble = [late(honest, 0.1), late(honest, 0.3), late(lies.internal_error(), 0.1), lies.cut_short(70_000), NEVER]

    def by_chance(asked: Asked, reply: Reply) -> Reply:
        return chance.choice(trouble)(asked, reply) if chance.random() < 0.2 else reply

    limits = {"hedging": 0.2, "tries": 50, "stall_seconds": 0.5}
    async with LyingS3(OBJECTS) as stub, warm(stub, *OBJECTS, connections=8, **limits) as now:
        stub.on(gets(), by_chance)
        reads = []
        for _ in range(150):
            key = chance.choice(list(OBJECTS))
            start = chance.randrange(OBJECTS[key].size)
            reads.append(now.reader.start(stubbed(stub, key), start, urgent=chance.random() < 0.1))
        for read in reads[::7]:
            await asyncio.sleep(0)
            read.cancel()
        await now.right(*[read for read in reads if not read.cancelled])
        sent, won = now.reader.hedges()
        assert sent > 3
        assert won > 0
