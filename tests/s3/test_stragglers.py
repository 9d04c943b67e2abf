"""Reads that are late: asked for again over another connection, within bounds, and never twice into one block."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bucketzip.errors import S3Error
from bucketzip.s3.hedging import ENOUGH, MOST_SAVED
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.content import Synthetic
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import Lie, LyingS3, gets
from tests.s3.reading import Reading, eventually, fails_with, of_stub, reading, stubbed

KIB, MIB = 1 << 10, 1 << 20
OBJECTS = {"small": Synthetic(10 * KIB, 1), "middle": Synthetic(200 * KIB, 2), "large": Synthetic(2 * MIB, 3)}
NEVER = lies.slow_first_byte(50)


def both(first: Lie, second: Lie) -> Lie:
    return lambda asked, honest: second(asked, first(asked, honest))


def late(lie: Lie, seconds: float = 0.4) -> Lie:
    return both(lie, lies.slow_first_byte(seconds))


def honest(asked: Asked, reply: Reply) -> Reply:
    return reply


def start_of(asked: Asked) -> int:
    return int(asked.headers["Range"].removeprefix("bytes=").partition("-")[0])


@asynccontextmanager
async def warm(stub: LyingS3, *keys: str, connections: int = 4, **limits: float) -> AsyncIterator[Reading]:
    """A reader that knows how long these take, while all is well; then the stub has seen no request."""
    async with reading(of_stub(stub), connections=connections, **limits) as reader:
        for key in keys:
            for _ in range(ENOUGH):
                await reader.start(stubbed(stub, key)).right()
        stub.requests.clear()
        stub.most_under_way = 0
        yield reader


# Nothing has come yet


@pytest.mark.parametrize("key", OBJECTS)
async def test_the_second_request_wins(key: str) -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, key) as reader:
        stub.on(gets(), NEVER, times=1)
        began, had = time.monotonic(), reader.received_bytes()
        await reader.start(stubbed(stub, key), 7).right()
        assert time.monotonic() - began < 5
        assert reader.hedges() == (1, 1)
        first, second = stub.requests
        for name in ("Range", "If-Match"):
            assert first.headers[name] == second.headers[name]
        await eventually(lambda: first.client_left)
        assert reader.received_bytes() - had == OBJECTS[key].size - 7
        assert reader.outcomes("ok") == ENOUGH + 1
        await reader.start(stubbed(stub, key)).right()


@pytest.mark.parametrize("key", OBJECTS)
async def test_the_second_request_loses(key: str) -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, key) as reader:
        stub.on(gets(), late(honest), times=1)
        stub.on(gets(), NEVER, skip=1, times=1)
        await reader.start(stubbed(stub, key)).right()
        assert reader.hedges() == (1, 0)
        await eventually(lambda: stub.requests[1].client_left)
        assert not stub.requests[0].client_left
        assert reader.reader.open_connections >= 1


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
    async with LyingS3(OBJECTS) as stub, warm(stub, key, tries=1, slow_down_seconds=0) as reader:
        stub.on(gets(), late(failure if fails == 0 else honest, 0.3), times=1)
        stub.on(gets(), late(failure if fails == 1 else honest, 0.4 * (1 - fails)), skip=1, times=1)
        await reader.start(stubbed(stub, key)).right()
        assert reader.hedges() == (1, 0)
        assert len(stub.requests) == 2


@pytest.mark.parametrize("key", OBJECTS)
async def test_both_fail(key: str) -> None:
    """That is one failure."""
    async with LyingS3(OBJECTS) as stub, warm(stub, key, tries=2) as reader:
        stub.on(gets(), late(lies.internal_error()), times=1)
        stub.on(gets(), lies.internal_error(), skip=1, times=1)
        await reader.start(stubbed(stub, key)).right()
        assert (reader.retries("s3_error"), reader.outcomes("s3_error")) == (1, 2)
        stub.on(gets(), late(lies.internal_error()))
        assert "InternalError" in await fails_with(S3Error, reader.start(stubbed(stub, key)).right())


@pytest.mark.parametrize("key", OBJECTS)
async def test_cancelled_with_both_in_flight(key: str) -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, key) as reader:
        stub.on(gets(), NEVER)
        read = reader.start(stubbed(stub, key))
        await eventually(lambda: stub.under_way == 2)
        read.cancel()
        await eventually(lambda: stub.under_way == 0)
        assert all(asked.client_left for asked in stub.requests)
        stub.stop_lying()
        await reader.start(stubbed(stub, key)).right()


async def test_cancelled_while_the_second_waits_for_a_connection() -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", connections=1) as reader:
        stub.on(gets(), NEVER)
        read = reader.start(stubbed(stub, "small"))
        (endpoint,) = reader.reader._pool._endpoints.values()
        await eventually(lambda: len(endpoint._hedges) == 1)
        read.cancel()
        assert not endpoint._hedges
        await eventually(lambda: reader.reader.open_connections == 0)
        assert reader.hedges() == (0, 0)
        assert len(stub.requests) == 1


async def test_cancelled_by_the_last_piece_of_the_winner() -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", "middle") as reader:
        for key in ("small", "middle"):
            stub.on(gets(key), NEVER, times=1)
            read = reader.start(stubbed(stub, key))
            taken = read.fetch.on_change

            def take_and_cancel(_: object, read=read, taken=taken) -> None:  # type: ignore[no-untyped-def]
                taken(read.fetch)
                reader.reader.cancel(read.fetch)

            read.fetch.on_change = take_and_cancel
            await read.right()
        await eventually(lambda: stub.under_way == 0)


# Bounds


@pytest.mark.parametrize("urgent", [False, True])
async def test_reads_that_wait_go_first_unless_somebody_waits_for_this_one(urgent: bool) -> None:  # noqa: FBT001
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", connections=2) as reader:
        stub.on(gets("small"), NEVER, times=1)
        stub.on(gets("small"), lies.slow_first_byte(0.02), skip=1)
        small = stubbed(stub, "small")
        straggler = reader.start(small, urgent=urgent)
        others = [reader.start(small, at) for at in range(1, 31)]
        for read in [straggler, *others]:
            await read.right()
        starts = [start_of(asked) for asked in stub.requests]
        assert starts[0] == 0
        assert starts.count(0) == 2
        assert starts.index(0, 1) < 20 if urgent else starts.index(0, 1) == 31


async def test_none_where_s3_says_slow_down() -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", "middle") as reader:
        stub.on(gets(), lies.slow_down(), times=1)
        await reader.start(stubbed(stub, "small")).right()
        stub.on(gets(), late(honest))
        for key in ("small", "middle"):
            await reader.start(stubbed(stub, key)).right()
        assert reader.hedges() == (0, 0)


@pytest.mark.parametrize("share", [0, 0.05])
async def test_a_bounded_share(share: float) -> None:
    """All of S3 has become slow: that is learned, and not answered with twice the load."""
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", connections=100, hedging=share) as reader:
        stub.on(gets(), late(honest, 0.15))
        for _ in range(3):
            for read in [reader.start(stubbed(stub, "small"), at) for at in range(40)]:
                await read.right()
        sent, _ = reader.hedges()
        assert 0 < sent <= MOST_SAVED + share * (ENOUGH + 120) if share else sent == 0


async def test_what_was_not_needed_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hedges that never got a connection do not use up the share."""
    monkeypatch.setattr("bucketzip.s3.hedging.MOST_SAVED", 1.0)
    async with LyingS3(OBJECTS) as stub, warm(stub, "small", connections=1, hedging=0.001) as reader:
        small = stubbed(stub, "small")
        (endpoint,) = reader.reader._pool._endpoints.values()
        stub.on(gets(), late(honest, 0.2))
        for _ in range(3):
            read = reader.start(small)
            await eventually(lambda: len(endpoint._hedges) == 1)
            await read.right()
        assert reader.hedges() == (0, 0)


async def test_slow_from_the_start_is_not_late() -> None:
    """Before anything is known, and where everything takes as long."""
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=16) as reader:
        stub.on(gets(), late(honest, 0.2))
        for _ in range(4):
            for read in [reader.start(stubbed(stub, "small"), at) for at in range(16)]:
                await read.right()
        assert reader.hedges() == (0, 0)


# The body crawls


async def test_a_crawling_body_moves_and_goes_on_from_the_byte_reached() -> None:
    async with LyingS3({**OBJECTS, "huge": Synthetic(6 * MIB, 4)}) as stub, warm(stub, "large") as reader:
        stub.on(gets("huge"), lies.crawling(0.25), times=1)
        began, had = time.monotonic(), reader.received_bytes()
        await reader.start(stubbed(stub, "huge")).right()
        assert time.monotonic() - began < 4  # instead of 6
        assert (reader.retries("crawl"), reader.outcomes("crawl")) == (1, 1)
        first, second = stub.requests
        assert start_of(second) > start_of(first) == 0
        assert first.headers["If-Match"] == second.headers["If-Match"]
        assert first.client_left
        assert reader.received_bytes() - had == 6 * MIB
        assert reader.hedges() == (0, 0)


async def test_a_body_that_stops_moves_too() -> None:
    """Long before the time limit for a connection that brings nothing."""
    async with LyingS3(OBJECTS) as stub, warm(stub, "large") as reader:
        stub.on(gets(), lies.stalled(MIB), times=1)
        async with asyncio.timeout(20):
            await reader.start(stubbed(stub, "large")).right()
        assert reader.retries("crawl") == 1
        assert reader.retries("stall") == 0


async def test_no_body_moves_where_that_is_off() -> None:
    async with LyingS3(OBJECTS) as stub, warm(stub, "large", hedging=0) as reader:
        stub.on(gets(), lies.crawling(0.15), times=1)
        await reader.start(stubbed(stub, "large")).right()
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
    async with LyingS3(OBJECTS) as stub, warm(stub, *OBJECTS, connections=8, **limits) as reader:
        stub.on(gets(), by_chance)
        reads = []
        for _ in range(150):
            key = chance.choice(list(OBJECTS))
            start = chance.randrange(OBJECTS[key].size)
            reads.append(reader.start(stubbed(stub, key), start, urgent=chance.random() < 0.1))
        for read in reads[::7]:
            await asyncio.sleep(0)
            read.cancel()
        await eventually(lambda: reader.hedges()[0] > 3, within_seconds=20)
        stub.stop_lying()
        for read in reads:
            if not read.cancelled:
                await read.right()
        assert reader.hedges()[1] > 0
