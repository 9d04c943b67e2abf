"""A store that lies, refuses and dawdles: the bytes are right in the end, or the error says what was wrong."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bucketzip.errors import (
    AccessDenied,
    BucketzipError,
    CredentialsExpired,
    NoSuchBucket,
    NoSuchObject,
    ObjectArchived,
    S3Error,
    S3Refused,
    S3Unreachable,
    SlowDown,
    SourceChanged,
)
from bucketzip.s3 import retry
from tests.clock import standing_still
from tests.faults import lies
from tests.faults.content import Given, Synthetic
from tests.faults.honest_s3 import Asked, error
from tests.faults.http_reply import After, Reply
from tests.faults.lying_s3 import Lie, LyingS3, anything, gets
from tests.s3.reading import Read, eventually, fails_with, of_stub, reading, stubbed

KIB, MIB = 1 << 10, 1 << 20
OBJECTS = {"small": Synthetic(10 * KIB, 1), "middle": Synthetic(200 * KIB, 2), "large": Synthetic(2 * MIB + 3, 3)}


def both(first: Lie, second: Lie) -> Lie:
    return lambda asked, honest: second(asked, first(asked, honest))


def without_length(lie: Lie) -> Lie:
    """The answer ends where the connection does."""
    return both(both(lie, lies.header("Content-Length", None)), lies.closes())


def answering(head: bytes, body: bytes = b"", after: After = After.KEEP) -> Lie:
    """Answer with exactly these bytes."""
    return lambda asked, honest: Reply(head=head, content=Given(body), stop=len(body), after=after)


ONCE_OR_TWICE: dict[str, Lie] = {
    "slow_down": lies.slow_down(),
    "slow_down chunked": both(lies.slow_down(), lies.chunked()),
    "slow_down without length": without_length(lies.slow_down()),
    "slow_down without length or end": both(lies.slow_down(), lies.header("Content-Length", None)),
    "slow_down without document": answering(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"),
    "slow_down without document, chunked": answering(
        b"HTTP/1.1 503 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n", b"6\r\n<html>\r\n0\r\n\r\n"
    ),
    "slow_down cut off": answering(
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 5000\r\n\r\n", b"<Error><Code>Slow", After.CLOSE
    ),
    "slow_down with a long document": answering(
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 200000\r\n\r\n", b"<!--" + b"x" * 199_996
    ),
    "internal_error": lies.internal_error(),
    "internal_error with bytes behind it": both(lies.internal_error(), lies.byte_too_many()),
    "too many requests": lies.refuse(429, "TooManyRequests"),
    "request timeout": lies.refuse(400, "RequestTimeout"),
    "cut short at once": lies.cut_short(0),
    "cut short": lies.cut_short(100),
    "cut short late": lies.cut_short(1_900_000),
    "cut in the head": lambda asked, honest: replace(
        honest, head=honest.encoded_head()[:50], stop=honest.start, after=After.CLOSE
    ),
    "wrong_content_range": lies.wrong_content_range(),
    "no content range": lies.header("Content-Range", None),
    "other_etag": lies.other_etag(),
    "status 200": lies.status(200),
    "whole_object": lies.whole_object(),
    "short_range": lies.short_range(),
    "chunked": lies.chunked(),
    "garbage_head": lies.garbage_head(),
    "huge_header": lies.huge_header(),
    "empty answer": answering(b"", after=After.CLOSE),
    "HTTP/1.0": lambda asked, honest: replace(
        honest, head=honest.encoded_head().replace(b"HTTP/1.1", b"HTTP/1.0"), after=After.CLOSE
    ),
}

ALWAYS: dict[str, Lie] = {
    "closes": lies.closes(),
    "closes unsaid": lambda asked, honest: replace(honest, after=After.CLOSE),
    "empty_reason": lies.empty_reason(),
    "continues_first": lies.continues_first(),
    "continues_first twice": lies.continues_first(2),
    "continues slowly": both(lies.continues_first(), lies.slow_first_byte(0.05)),
    "long header": lies.huge_header(12_000),
    "lower case": lambda asked, honest: replace(
        honest, headers={name.lower(): value for name, value in honest.headers.items()}
    ),
    "bare ETag": lambda asked, honest: lies.header("ETag", honest.headers["ETag"].strip('"'))(asked, honest),
    "content encoding": lies.header("Content-Encoding", "gzip"),
}


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.02)


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("name", ONCE_OR_TWICE)
async def test_passing_trouble(name: str) -> None:
    """Different for each object, and the reads are right in the end."""
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=3) as reader:
        for key in OBJECTS:
            stub.on(gets(key), ONCE_OR_TWICE[name], skip=1, times=2)
        for _ in range(2):
            reads = [reader.start(stubbed(stub, key)) for key in OBJECTS]
            for read in reads:
                await read.right()
        assert reader.retries("stall") == 0, "each was seen as soon as it came"
        assert len(stub.requests) > 6
        assert reader.outcomes("ok") == 6


@pytest.mark.parametrize("name", ALWAYS)
async def test_odd_but_right(name: str) -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=3) as reader:
        stub.on(gets(), ALWAYS[name])
        for _ in range(3):
            reads = [reader.start(stubbed(stub, key), 7) for key in OBJECTS]
            for read in reads:
                await read.right()
        assert len(stub.requests) == 9


async def test_a_byte_too_many() -> None:
    """What is behind the body is nobody's: the body counts or is asked for again, and the connection goes."""
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=1) as reader:
        stub.on(gets("large"), lies.byte_too_many(b"HTTP/1.1 206 OK\r\n\r\n"))
        await reader.start(stubbed(stub, "large")).right()
        await eventually(lambda: reader.reader.open_connections == 0)
        stub.on(gets("small"), lies.byte_too_many(), times=1)
        await reader.start(stubbed(stub, "small")).right()
        assert reader.retries("connection") == reader.retries("stall") == 0


async def test_a_connection_that_will_be_closed_is_not_used_again() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=2) as reader:
        stub.on(gets(), lies.closes())
        for read in [reader.start(stubbed(stub, "small"), at) for at in range(50)]:
            await read.right()
        assert reader.retries("connection") == reader.retries("idle_connection") == 0
        assert len(stub.requests) == 50


FINAL: dict[str, tuple[Lie, type[BucketzipError], str, int]] = {  # and after how many requests
    "slow_down": (lies.slow_down(), SlowDown, "SlowDown", 3),
    "service unavailable": (lies.refuse(503, "ServiceUnavailable"), SlowDown, "ServiceUnavailable", 3),
    "internal_error": (lies.internal_error(), S3Error, "InternalError", 3),
    "not implemented": (lies.refuse(501, "NotImplemented"), S3Refused, "NotImplemented", 3),
    "bad request": (lies.refuse(400, "InvalidRequest"), S3Refused, "InvalidRequest in a test", 1),
    "changed": (lies.refuse(412, "PreconditionFailed"), SourceChanged, "PreconditionFailed", 1),
    "changed, without document": (
        answering(b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"),
        SourceChanged,
        "status 412",
        1,
    ),
    "shorter": (lies.refuse(416, "InvalidRange"), SourceChanged, "InvalidRange", 1),
    "gone": (lies.refuse(404, "NoSuchKey"), NoSuchObject, "NoSuchKey", 1),
    "version gone": (lies.refuse(404, "NoSuchVersion"), NoSuchObject, "NoSuchVersion", 1),
    "bucket gone": (lies.refuse(404, "NoSuchBucket"), NoSuchBucket, "NoSuchBucket", 1),
    "delete marker": (lies.refuse(405, "MethodNotAllowed"), SourceChanged, "MethodNotAllowed", 1),
    "denied": (lies.refuse(403, "AccessDenied"), AccessDenied, "allow s3:GetObject", 1),
    "denied, chunked": (both(lies.refuse(403, "AccessDenied"), lies.chunked()), AccessDenied, "allow s3:GetObject", 1),
    "denied, without length": (without_length(lies.refuse(403, "AccessDenied")), AccessDenied, "allow s3:Get", 1),
    "forbidden by somebody else": (
        answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\n", b"<html>"),
        AccessDenied,
        "status 403",
        1,
    ),
    "archived": (lies.refuse(403, "InvalidObjectState"), ObjectArchived, "InvalidObjectState", 1),
    "expired": (lies.expired_token(), CredentialsExpired, "ExpiredToken", 4),
    "clock, without a date": (
        both(lies.refuse(403, "RequestTimeTooSkewed"), lies.header("Date", None)),
        AccessDenied,
        "clock",
        1,
    ),
    "clock, with a senseless date": (
        both(lies.refuse(403, "RequestTimeTooSkewed"), lies.header("Date", "Fri, 99 Jan 0001 00:00:00 +9999")),
        AccessDenied,
        "clock",
        1,
    ),
    "whole_object": (lies.whole_object(), S3Error, "status 200 to a ranged GET", 3),
    "other_etag": (lies.other_etag('"new"'), S3Error, "ETag", 3),
    "wrong_content_range": (lies.wrong_content_range(), S3Error, "Content-Range", 3),
    "chunked": (lies.chunked(), S3Error, "Content-Length None", 3),
    "garbage_head": (lies.garbage_head(), S3Error, "status line", 3),
    "huge_header": (lies.huge_header(), S3Error, "no end of head", 3),
    "cut short at once": (lies.cut_short(0), S3Unreachable, "ConnectionResetError", 3),
    "empty answer": (answering(b"", after=After.CLOSE), S3Unreachable, "ConnectionResetError", 3),
}


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("name", FINAL)
async def test_lasting_trouble(name: str) -> None:
    lie, kind, said, requests = FINAL[name]
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), tries=3, slow_down_seconds=0) as reader:
        stub.on(gets("large"), lie)
        message = await fails_with(kind, reader.start(stubbed(stub, "large")).right())
        assert message.startswith("s3://stub/large: ")
        assert said in message
        assert len(stub.requests) == requests
        await reader.start(stubbed(stub, "small")).right()


async def test_changed_between_two_tries() -> None:
    """What had come of the old object is not continued with the new one."""
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub)) as reader:
        thing = stubbed(stub, "large")
        stub.on(gets("large"), lies.cut_short(MIB + 5), times=1)
        read = reader.start(thing)
        stub.objects.put("large", Synthetic(2 * MIB + 3, 99))
        stub.requests.clear()
        assert "/large: " in await fails_with(SourceChanged, read.right())
        assert stub.requests[-1].headers["If-Match"] == thing.etag


async def test_goes_on_from_the_byte_reached() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub)) as reader:
        stub.on(gets("large"), lies.cut_short(300_000))
        await reader.start(stubbed(stub, "large"), 1000).right()
        starts = [int(asked.headers["Range"].removeprefix("bytes=").partition("-")[0]) for asked in stub.requests]
        assert starts == list(range(1000, 2 * MIB + 3, 300_000))
        assert {asked.headers["Range"].rpartition("-")[2] for asked in stub.requests} == {str(2 * MIB + 2)}


async def test_a_storm_of_slow_down() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub)) as reader:
        await reader.start(stubbed(stub, "small")).right()
        with standing_still() as clock:
            over_at = clock.now + 0.8

            def storm(asked: Asked, honest: Reply) -> Reply:
                return error(503, "SlowDown") if clock.now < over_at else honest

            stub.on(gets(), storm)
            for read in [reader.start(stubbed(stub, "small"), start) for start in range(100)]:
                await clock.run(read.ended.is_set, idle=lambda: not reader.in_flight)
                await read.right()
        assert reader.retries("slow_down") >= 200  # after 0.1, 0.2, 0.4, ... s at most
        assert len(stub.requests) < 100 * 8


@pytest.mark.parametrize("off", [timedelta(days=1), timedelta(days=-1)])
async def test_the_clock_is_wrong(off: timedelta) -> None:
    """The clock of the store, as this machine sees it: the store refuses, its Date is believed, and all is well."""

    def strict(asked: Asked, honest: Reply) -> Reply:
        now = datetime.now(UTC) + off
        signed = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(now - signed) < timedelta(minutes=15):
            return honest
        return error(403, "RequestTimeTooSkewed", {"Date": format_datetime(now, usegmt=True)})

    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=4) as reader:
        stub.on(gets(), strict)
        reads = [reader.start(stubbed(stub, key)) for key in OBJECTS]
        for read in reads:
            await read.right()
        refused = int(reader.retries("clock"))
        assert 1 <= refused <= 3, "once each, those that were sent before the first answer came"
        await reader.start(stubbed(stub, "small")).right()
        assert len(stub.requests) == 3 + refused + 1


async def test_slow_first_byte() -> None:
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), stall_seconds=10, hedging=0) as reader:
        await reader.start(stubbed(stub, "large")).right()
        with standing_still() as clock:

            async def seconds_of(read: Read) -> float:
                began = clock.now
                await clock.run(read.ended.is_set, idle=lambda: stub.pausing == reader.in_flight)
                await read.right()
                return clock.now - began

            stub.on(gets(), lies.slow_first_byte(8))
            assert await seconds_of(reader.start(stubbed(stub, "large"))) >= 8
            assert reader.retries("stall") == 0
            stub.stop_lying()
            stub.on(gets(), lies.slow_first_byte(60), times=1)
            assert 10 <= await seconds_of(reader.start(stubbed(stub, "large"))) < 13
            assert reader.retries("stall") == 1
        assert stub.requests[2].client_left


async def test_slow_but_steady() -> None:
    """A byte now and then is no stall."""
    come: asyncio.Queue[bytes] = asyncio.Queue()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 206 OK\r\nContent-Length: 8\r\nContent-Range: bytes 0-7/8\r\nETag: "e"\r\n\r\n')
        for _ in range(8):
            writer.write(await come.get())
        writer.close()

    async with LyingS3() as stub, await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        stub.objects.put("key", b"dripping", etag='"e"')
        environment = {**of_stub(stub), "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
        async with reading(environment, stall_seconds=3, hedging=0) as reader:
            read = reader.start(stubbed(stub, "key"))
            await eventually(lambda: any(connection.got_bytes for connection in reader.reader._busy))
            (connection,) = reader.reader._busy
            with standing_still() as clock:
                for byte in b"dripping":
                    await clock.move(2.5)
                    assert not connection.moved
                    come.put_nowait(bytes([byte]))
                    await clock.until(lambda: connection.moved)
                await read.right()
            assert reader.retries("stall") == 0


async def test_closed_while_idle() -> None:
    """Seen as soon as it happens: the next read takes a new connection, and nothing has to be tried again."""
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub)) as reader:
        stub.on(anything, lambda asked, honest: replace(honest, after=After.CLOSE))
        for _ in range(3):
            await reader.start(stubbed(stub, "small")).right()
            while reader.reader.open_connections:
                await asyncio.sleep(0.001)
        assert reader.outcomes("ok") == len(stub.requests) == 3


async def test_closed_in_the_moment_it_is_used_again() -> None:
    """Nobody's fault: tried again at once, on a new connection."""
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), tries=1) as reader:
        stub.on(gets(), answering(b"", after=After.CLOSE), skip=1, times=1)
        await reader.start(stubbed(stub, "small")).right()
        await reader.start(stubbed(stub, "small")).right()
        assert reader.retries("idle_connection") == 1
        assert reader.retries("connection") == 0
        assert len(stub.requests) == 3


@pytest.mark.parametrize("key", OBJECTS)
async def test_cancelled_by_its_own_last_piece(key: str) -> None:
    """A consumer may do that; nothing breaks, and others go on."""
    async with LyingS3(OBJECTS) as stub, reading(of_stub(stub), connections=1) as reader:
        read = reader.start(stubbed(stub, key))
        taken = read.fetch.on_change

        def take_and_cancel(fetch: object) -> None:
            taken(read.fetch)
            reader.reader.cancel(read.fetch)

        read.fetch.on_change = take_and_cancel
        others = [reader.start(stubbed(stub, "small")) for _ in range(3)]
        for other in others:
            await other.right()
        assert read.data
