"""A store that says SlowDown: it is sent fewer requests at once, until it takes them all again; nobody gives up."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import Source
from bucketzip.errors import SlowDown
from bucketzip.jobs import patience
from bucketzip.jobs.ports import Destination, Done, Options
from bucketzip.s3.concurrency import LEAST, RECOVERY_SECONDS
from tests.clock import standing_still
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.content import Synthetic
from tests.faults.documents import error
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import Lie, LyingS3, does, gets
from tests.s3.reading import Read, fails_with, of_stub, reading, stubbed
from tests.s3.uploading import uploading

KIB, MIB = 1 << 10, 1 << 20
OBJECTS = {"small": Synthetic(10 * KIB, 1), "large": Synthetic(2 * MIB + 3, 3)}


def at_most(stub: LyingS3, at_once: int, refused: list[Asked]) -> Lie:
    """Take so many at once, 20 ms each, and refuse the others, as quickly or slowly."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        if stub.under_way > at_once:
            refused.append(asked)
            honest = error(503, "SlowDown")
        return lies.slow_first_byte(0.02)(asked, honest)

    return lie


async def test_the_number_that_is_taken_is_found() -> None:
    refused: list[Asked] = []
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=64) as reader:
        small = stubbed(stub, "small")
        await reader.start(small).right()
        stub.on(gets(), at_most(stub, 8, refused))
        with standing_still() as clock:

            async def read(count: int) -> None:
                reads = [reader.start(small, at) for at in range(count)]
                for read in reads:
                    await clock.run(read.ended.is_set, idle=lambda: stub.pausing == reader.in_flight)
                    await read.right()

            await read(100)
            assert reader.reader.concurrency_limit < 20
            found, asked = len(refused), len(stub.requests)
            await read(300)
        assert reader.retries("slow_down") == len(refused)
        assert (len(refused) - found) / (len(stub.requests) - asked) < 0.1
        assert stub.most_under_way <= 64


@pytest.mark.parametrize("operation", ["UploadPartCopy", "UploadPart"])
async def test_so_it_is_for_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """Sixteen at once, as jobs send them, each again until it is taken."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.02)
    refused: list[Asked] = []
    async with LyingS3(OBJECTS) as stub, uploading(of_stub(stub), tmp_path) as multipart:
        upload = await multipart.create(Destination(stub.bucket, "out.zip"), Options(), "token")
        small = stubbed(stub, "small")
        source = Source(small.bucket, small.key, small.etag, "")
        body = memoryview(bytes(10 * KIB))

        async def send(number: int) -> Done:
            if operation == "UploadPart":
                return await multipart.put(upload, number, body, crc32(body))
            return await multipart.copy(upload, number, source, (0, 10 * KIB), whole=True)

        async def work(numbers: Iterator[int]) -> None:
            for number in numbers:
                await patient.with_(partial(send, number))

        patient = patience.Patience(120)
        stub.on(does(operation), at_most(stub, 4, refused))
        found = asked = 0
        gate = multipart._gates[stub.bucket]
        with standing_still() as clock:
            for numbers in (iter(range(1, 61)), iter(range(61, 161))):
                found, asked = len(refused), stub.counts[operation]
                sent = asyncio.gather(*(work(numbers) for _ in range(16)))
                await clock.run(sent.done, idle=lambda: stub.pausing == gate._inside)
                await sent
        assert (len(refused) - found) / (stub.counts[operation] - asked) < 0.15
        assert len(await multipart.listed(upload)) == 160


async def test_it_recovers() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=16) as reader:
        assert reader.reader.concurrency_limit == 16
        small = stubbed(stub, "small")
        await reader.start(small).right()
        stub.on(gets(), lies.slow_down(), times=100)
        with standing_still() as clock:

            async def pass_until(condition: Callable[[], bool]) -> None:
                await clock.run(condition, idle=lambda: stub.pausing == reader.in_flight)

            async def right(reads: list[Read]) -> None:
                for read in reads:
                    await pass_until(read.ended.is_set)
                    await read.right()

            reads = [reader.start(small, at) for at in range(40)]
            await pass_until(lambda: reader.reader.concurrency_limit == LEAST)
            await right(reads)
            limit = reader.reader.concurrency_limit
            stub.on(gets(), lies.slow_first_byte(0.5))
            began = clock.now
            while reader.reader.concurrency_limit < 16:
                await right([reader.start(small)])
            assert clock.now - began == pytest.approx(RECOVERY_SECONDS * (16 - limit) / 16, abs=1)
            stub.most_under_way = 0
            await right([reader.start(small, at) for at in range(64)])
        assert stub.most_under_way == 16


async def test_no_more_are_in_flight_than_the_limit_allows() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=32) as reader:
        stub.on(gets(), lies.slow_down(), times=120)
        reads = [reader.start(stubbed(stub, "small"), at) for at in range(64)]
        while reader.reader.concurrency_limit > LEAST:
            await asyncio.sleep(0)
        while not all(read.ended.is_set() for read in reads):
            assert len(reader.reader._busy) <= reader.reader.concurrency_limit
            await asyncio.sleep(0)
        for read in reads:
            await read.right()


@pytest.mark.parametrize("key", OBJECTS)
async def test_a_storm_that_is_longer_than_all_tries(key: str) -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), tries=1) as reader:
        stub.on(gets(), lies.slow_down(), times=60)
        for read in [reader.start(stubbed(stub, key), at) for at in range(20)]:
            await read.right()
        assert reader.retries("slow_down") == 60


async def test_a_storm_that_does_not_end() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), tries=2, slow_down_seconds=0.5) as reader:
        small = stubbed(stub, "small")
        await reader.start(small).right()
        stub.on(gets(), lies.slow_down())
        with standing_still() as clock:
            began = clock.now
            read = reader.start(small)
            await clock.run(read.ended.is_set, idle=lambda: stub.pausing == reader.in_flight)
            assert "SlowDown" in await fails_with(SlowDown, read.right())
            assert clock.now - began >= 0.5
        assert len(stub.requests) > 3
