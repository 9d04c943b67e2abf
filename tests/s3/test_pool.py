"""Who gets a connection when, and what is left of one who leaves: nothing, on the wire neither."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from bucketzip.errors import S3Unreachable
from bucketzip.s3 import pool
from bucketzip.s3.concurrency import LEAST
from tests.clock import standing_still
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, gets
from tests.faults.proxy import FaultProxy
from tests.s3.reading import Read, Reading, Thing, eventually, fails_with, of_stub, reading, stubbed

MIB = 1 << 20
OBJECTS = {"small": Synthetic(10_000, 1), "huge": Synthetic(4 << 30, 2)}


def start_of(asked_range: str) -> int:
    return int(asked_range.removeprefix("bytes=").partition("-")[0])


# Leaving


@pytest.mark.parametrize("pieces", [0, 1, 7])
async def test_cancelled_in_flight(pieces: int) -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=2) as reader:
        read = reader.start(stubbed(stub, "huge"), 0, 64 * MIB)
        await eventually(lambda: stub.under_way == 1 and len(read.data) >= pieces * MIB)
        read.cancel()
        had = len(read.data)
        await eventually(lambda: stub.under_way == 0)
        assert stub.requests[0].client_left
        assert len(read.data) == had < 64 * MIB
        await eventually(lambda: reader.reader.open_connections == 0)
        await reader.start(stubbed(stub, "small")).right()


async def test_cancelled_while_the_answer_is_awaited() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub)) as reader:
        stub.on(gets(), lies.slow_first_byte(30))
        read = reader.start(stubbed(stub, "small"))
        await eventually(lambda: stub.under_way == 1)
        read.cancel()
        await eventually(lambda: stub.under_way == 0)
        assert stub.requests[0].client_left


async def test_cancelled_in_the_queue() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=1) as reader:
        stub.on(gets(), lies.slow_first_byte(0.1), times=1)
        first, second, third = (reader.start(stubbed(stub, "small"), start) for start in (1, 2, 3))
        await eventually(lambda: stub.under_way == 1)
        second.cancel()
        assert reader.reader.waiting == 1
        await first.right()
        await third.right()
        assert [start_of(asked.headers["Range"]) for asked in stub.requests] == [1, 3]


async def test_cancelled_between_two_tries() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub)) as reader:
        stub.on(gets(), lies.slow_down())
        read = reader.start(stubbed(stub, "small"))
        await eventually(lambda: reader.retries("slow_down") == 1)
        read.cancel()
        await asyncio.sleep(0.15)  # the pause would have been 0.1 s at most
        assert len(stub.requests) == 1


async def test_cancelled_before_the_route_is_known() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub)) as reader:
        reader.start(stubbed(stub, "small")).cancel()
        await reader.start(stubbed(stub, "small"), 5).right()
        assert len(stub.requests) == 1


@asynccontextmanager
async def silent_server(taken: asyncio.Event) -> AsyncIterator[int]:
    """Takes connections and never says a word; a TLS client waits for it in vain."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_cancelled_while_connecting() -> None:
    taken = asyncio.Event()
    async with LyingS3(OBJECTS) as stub, silent_server(taken) as port:
        environment = {**of_stub(stub), "AWS_ENDPOINT_URL_S3": f"https://127.0.0.1:{port}"}
        async with reading(environment) as reader:
            read = reader.start(stubbed(stub, "small"))
            await asyncio.wait_for(taken.wait(), 30)
            assert reader.reader.waiting == 1
            read.cancel()
            assert reader.reader.waiting == 0
            began = time.monotonic()
        assert time.monotonic() - began < pool.CONNECT_SECONDS / 2  # the reader's end waits for no handshake


async def test_nobody_answers_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 0.1)
    async with LyingS3(OBJECTS) as stub, silent_server(asyncio.Event()) as port:
        environment = {**of_stub(stub), "AWS_ENDPOINT_URL_S3": f"https://127.0.0.1:{port}"}
        async with reading(environment, tries=2) as reader:
            message = await fails_with(S3Unreachable, reader.start(stubbed(stub, "small")).right())
            assert "TimeoutError" in message


async def test_the_end_takes_all_with_it() -> None:
    async with LyingS3(OBJECTS) as stub:
        reads: list[Read] = []
        async with reading(of_stub(stub), connections=4) as reader:
            stub.on(gets("small"), lies.slow_down(), times=5)
            reads += [reader.start(stubbed(stub, "small")) for _ in range(5)]
            await eventually(lambda: reader.retries("slow_down") >= 1)
            reads += [reader.start(stubbed(stub, "huge")) for _ in range(10)]
            await eventually(lambda: any(len(read.data) > MIB for read in reads))
            for read in reads:
                read.cancel()
        await eventually(lambda: stub.under_way == 0)


async def test_cancelled_by_hundreds_while_others_go_on() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=8) as reader:
        huge, small = stubbed(stub, "huge"), stubbed(stub, "small")
        for turn in range(5):
            leaving = [reader.start(huge, at, at + 4 * MIB) for at in range(turn, 100 * MIB, 4 * MIB)]
            staying = [reader.start(small, at) for at in range(20)]
            await asyncio.sleep(0.01 * turn)
            for read in leaving:
                read.cancel()
            for read in staying:
                await read.right()
        await eventually(lambda: stub.under_way == 0)


# Order


async def test_urgent_reads_go_first_and_in_order() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=1) as reader:
        stub.on(gets(), lies.slow_first_byte(0.1), times=1)
        small = stubbed(stub, "small")
        reads = [reader.start(small, 0)]
        await eventually(lambda: stub.under_way == 1)
        reads += [reader.start(small, at) for at in range(1, 6)]
        reads += [reader.start(small, at, urgent=True) for at in range(11, 14)]
        for read in reads:
            await read.right()
        assert [start_of(asked.headers["Range"]) for asked in stub.requests] == [0, 11, 12, 13, 1, 2, 3, 4, 5]


async def test_what_has_begun_goes_before_what_has_not() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=1) as reader:
        stub.on(gets(), lies.slow_first_byte(0.02))
        stub.on(gets(), lies.slow_down(), times=1)
        small = stubbed(stub, "small")
        reads = [reader.start(small, at) for at in range(30)]
        for read in reads:
            await read.right()
        starts = [start_of(asked.headers["Range"]) for asked in stub.requests]
        assert starts.count(0) == 2
        assert starts.index(0, 1) < 15  # 0.1 s of pause at most, and not behind all the others


# Two endpoints


@asynccontextmanager
async def two_stores(limit: int, *, other_port: int | None = None) -> AsyncIterator[tuple[Reading, LyingS3, LyingS3]]:
    """Buckets `stub` and `other`, each at an endpoint of its own."""
    async with LyingS3(OBJECTS) as one, LyingS3(OBJECTS) as two, reading(of_stub(one), connections=limit) as reader:
        route = await reader.s3.route("stub")
        port = other_port or two.port
        reader.s3._routes["other"] = route._replace(port=port, host_header=f"127.0.0.1:{port}")
        yield reader, one, two


def other(thing: Thing) -> Thing:
    return Thing("other", thing.key, thing.content, thing.etag)


@pytest.mark.parametrize("limit", [1, 2, 8])
async def test_two_endpoints_share_the_limit(limit: int) -> None:
    """And of long queues at both, neither waits for the other to end."""
    async with two_stores(limit) as (reader, one, two):
        for store in (one, two):
            store.on(gets(), lies.slow_first_byte(0.002))
        small = stubbed(one, "small")
        mine = [reader.start(small, at) for at in range(100)]
        theirs = [reader.start(other(small), at) for at in range(100)]
        most = 0
        while not (all(read.ended.is_set() for read in mine) or all(read.ended.is_set() for read in theirs)):
            most = max(most, reader.reader.open_connections, one.under_way + two.under_way)
            await asyncio.sleep(0.001)
        done = [sum(read.ended.is_set() for read in reads) for reads in (mine, theirs)]
        if limit > 1:  # of one connection, they take turns by the order of the reads
            assert min(done) >= 20
        for read in mine + theirs:
            await read.right()
        assert most <= limit


async def test_a_latecomer_at_another_endpoint_is_not_starved() -> None:
    async with two_stores(4) as (reader, one, _):
        one.on(gets(), lies.slow_first_byte(0.005))
        small = stubbed(one, "small")
        with standing_still() as clock:
            mine = [reader.start(small, at % 5000) for at in range(400)]
            await clock.until(lambda: one.pausing == 4)
            late = reader.start(other(small))
            await clock.run(late.ended.is_set, idle=lambda: one.pausing == reader.in_flight)
            await late.right()
        assert sum(read.ended.is_set() for read in mine) < 200
        for read in mine:
            read.cancel()


async def test_one_connection_taken_in_turns() -> None:
    async with two_stores(1) as (reader, one, two):
        small = stubbed(one, "small")
        reads = []
        for at in range(10):
            reads += [reader.start(small, at), reader.start(other(small), at)]
        for read in reads:
            await read.right()
        for store in (one, two):
            assert [start_of(asked.headers["Range"]) for asked in store.requests] == list(range(10))


async def test_idle_connections_make_room() -> None:
    async with two_stores(4) as (reader, one, two):
        small = stubbed(one, "small")
        for store in (one, two):
            store.on(gets(), lies.slow_first_byte(0.02))
        with standing_still() as clock:
            for things in ([small] * 4, [other(small)] * 20):
                for read in [reader.start(thing, at) for at, thing in enumerate(things)]:
                    await clock.run(read.ended.is_set, idle=lambda: one.pausing + two.pausing == reader.in_flight)
                    await read.right()
                assert reader.reader.open_connections == 4
        assert two.most_under_way >= 2
        assert reader.reader.open_connections == 4


async def test_an_endpoint_that_does_not_answer_holds_up_no_other() -> None:
    async with silent_server(asyncio.Event()) as port, two_stores(4, other_port=port) as (reader, one, _):
        route = reader.s3._routes["other"]
        reader.s3._routes["other"] = route._replace(tls=True)
        small = stubbed(one, "small")
        theirs = [reader.start(other(small), at, urgent=True) for at in range(50)]
        with standing_still():  # so that it is not given up meanwhile
            for _ in range(3):
                for read in [reader.start(small, at) for at in range(20)]:
                    await read.right()
        for read in theirs:
            read.cancel()


async def test_slow_down_at_one_endpoint_slows_no_other() -> None:
    async with two_stores(8) as (reader, one, two):
        one.on(gets(), lies.slow_down())
        two.on(gets(), lies.slow_first_byte(0.02))
        small = stubbed(one, "small")
        mine = [reader.start(small, at) for at in range(50)]
        await eventually(lambda: reader.reader.concurrency_limit == LEAST)
        one.most_under_way = 0
        with standing_still() as clock:
            for read in [reader.start(other(small), at) for at in range(100)]:
                await clock.run(read.ended.is_set, idle=lambda: two.pausing == reader.in_flight)
                await read.right()
        assert two.most_under_way >= 8 - LEAST
        assert one.most_under_way <= LEAST
        limits = [each.concurrency.limit for each in reader.reader._pool._endpoints.values()]
        assert sorted(limits) == [LEAST, 8]
        for read in mine:
            read.cancel()


async def test_an_endpoint_that_said_slow_down_is_remembered_without_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S3 may close with every refusal; reads that pause are no reason to begin again with all there is."""
    monkeypatch.setattr("bucketzip.s3.reader.WATCH_SECONDS", 0.01)
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=8) as reader:
        refuse, close = lies.slow_down(), lies.closes()
        stub.on(gets(), lambda asked, honest: close(asked, refuse(asked, honest)))
        reads = [reader.start(stubbed(stub, "small"), at) for at in range(8)]
        await eventually(lambda: reader.reader.concurrency_limit == LEAST)
        for _ in range(20):  # the watch looks some ten times
            await asyncio.sleep(0.01)
            assert reader.reader.concurrency_limit == LEAST
        for read in reads:
            read.cancel()


# Age


async def test_connections_age_while_they_are_in_use() -> None:
    async with LyingS3(OBJECTS) as stub, FaultProxy("127.0.0.1", stub.port) as proxy:
        environment = {**of_stub(stub), "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{proxy.port}"}
        async with reading(environment, connections=1) as reader:
            with standing_still() as clock:
                for _ in range(100):
                    await reader.start(stubbed(stub, "small")).right()
                    await clock.jump(pool.OLDEST_SECONDS / 30)
            assert proxy.connections == 4
            assert reader.retries("connection") == reader.retries("idle_connection") == 0


async def test_idle_connections_are_closed_and_busy_ones_kept() -> None:
    async with LyingS3(OBJECTS) as stub, FaultProxy("127.0.0.1", stub.port) as proxy:
        environment = {**of_stub(stub), "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{proxy.port}"}
        async with reading(environment, connections=4) as reader:
            go_on = asyncio.Event()
            stub.on(gets(), lies.held(go_on), times=4)
            reads = [reader.start(stubbed(stub, "small")) for _ in range(4)]
            await eventually(lambda: stub.pausing == 4)
            go_on.set()
            for read in reads:
                await read.right()
            assert proxy.open_connections == 4
            with standing_still() as clock:
                for _ in range(8):  # one is used now and then, and always idle when the watch looks
                    await clock.jump(pool.IDLE_SECONDS / 3)
                    await reader.start(stubbed(stub, "small")).right()
                assert proxy.connections == 4
                assert reader.reader.open_connections == 1
                await clock.jump(pool.IDLE_SECONDS + 1)
                await clock.until(lambda: reader.reader.open_connections == 0)
