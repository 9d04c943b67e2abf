"""What goes wrong while an archive is sent: an error while one can be given, then a broken connection."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from bucketzip.web.send import ResponseSink
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, gets
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20


async def breaks(server: Server, url: str) -> int:
    """How many bytes came before the connection broke, which it must."""
    got = 0
    async with server.client.get(url) as answer:
        assert answer.status == 200
        broken = False
        try:
            async for chunk in answer.content.iter_any():
                got += len(chunk)
        except (aiohttp.ClientPayloadError, ConnectionError):
            broken = True
        assert broken
        assert answer.content_length is not None
        assert got < answer.content_length
    return got


async def test_a_source_that_changed_is_a_409_that_names_it(server: Server, bucket: Bucket) -> None:
    await bucket.put("a", b"old")
    url = await server.link(bucket.url())
    await bucket.put("a", b"new")
    for _ in range(2):  # the second time without asking S3: the link is marked
        status, answer = await server.error(url)
        assert (status, answer["error"]) == (409, "source_changed")
        assert bucket.url("a") in answer["detail"]
    assert await server.zip(bucket.url()), "asking again gives a link to what is there now"


async def test_a_source_that_vanished_is_a_409_that_names_it(server: Server, bucket: Bucket) -> None:
    await bucket.put("a", b"old")
    url = await server.link(bucket.url())
    await bucket.delete("a")
    status, answer = await server.error(url)
    assert (status, answer["error"]) == (409, "source_changed")
    assert bucket.url("a") in answer["detail"]


async def test_a_change_behind_the_first_byte_breaks_the_connection(
    stub: LyingS3, stub_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    stub.objects.put("a", Synthetic(30 * MIB))
    stub.objects.put("z", b"x" * 100)
    stub.on(gets("z"), lies.slow_first_byte(0.5))
    url = await stub_server.link("s3://stub/")
    stub.on(gets("z"), lies.refuse(412, "PreconditionFailed"))
    assert await breaks(stub_server, url) > 0
    await stub_server.idle()
    assert await stub_server.metric("bucketzip_errors_total") == 1
    assert "s3://stub/z" in caplog.text
    status, answer = await stub_server.error(url)
    assert (status, answer["error"]) == (409, "source_changed")


async def test_bytes_other_than_s3_knows_the_crc_of_break_the_connection(stub: LyingS3, stub_server: Server) -> None:
    """One flipped bit, silently: the stored CRC shows it, and the archive never gets its end."""
    stub.objects.put("a", Synthetic(9 * MIB))
    stub.on(lambda asked: asked.method == "HEAD", lies.header("x-amz-checksum-crc32", "AAAAAA=="))
    url = await stub_server.link("s3://stub/")
    await breaks(stub_server, url)
    await stub_server.idle()
    assert await stub_server.metric("bucketzip_errors_total") == 1


async def test_s3_that_breaks_for_good_breaks_the_connection(stub: LyingS3, stub_server: Server) -> None:
    stub.objects.put("a", Synthetic(30 * MIB))
    url = await stub_server.link("s3://stub/")
    stub.on(gets("a"), lies.cut_short(0), skip=2)
    await breaks(stub_server, url)
    await stub_server.idle()
    assert await stub_server.metric("bucketzip_s3_retries_total") > 0


async def test_s3_that_breaks_before_the_first_byte_is_an_error(stub: LyingS3, stub_server: Server) -> None:
    stub.objects.put("a", b"x")
    url = await stub_server.link("s3://stub/")
    stub.on(gets("a"), lies.slow_down())
    async with stub_server.client.get(url) as answer:
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert (await answer.json())["error"] == "slow_down"


async def test_reads_that_break_and_stall_are_gone_on_with(stub: LyingS3, stub_server: Server) -> None:
    """A reset here, a stall there, a storm of SlowDown: the client notices nothing but time."""
    objects = {f"{i}": Synthetic(size, i) for i, size in enumerate([100, 3 * MIB, 20 * MIB, 50, 9 * MIB])}
    for key, each in objects.items():
        stub.objects.put(key, each)
    url = await stub_server.link("s3://stub/")
    whole = await stub_server.fetch(url)
    for number, after_bytes in enumerate([10, 40, 0, 20]):
        stub.on(gets(), lies.cut_short(after_bytes), skip=number * 3, times=1)
    stub.on(gets(), lies.stalled(1000), skip=2, times=1)
    stub.on(gets(), lies.slow_down(), skip=5, times=3)
    stub.on(gets(), lies.byte_too_many(), skip=10, times=1)
    assert await stub_server.fetch(url) == whole
    assert await stub_server.metric("bucketzip_s3_retries_total") >= 7


async def test_a_client_that_leaves_stops_the_reads_at_once(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        stub.objects.put(f"{number}", Synthetic(8 * MIB, number))
    stub.on(gets(), lies.stalled(MIB // 2))
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch, s3_stall_seconds=60) as server:
        url = await server.link("s3://stub/")
        request = asyncio.create_task(server.client.get(url))
        while stub.under_way < 4:
            await asyncio.sleep(0.01)
        request.cancel()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while stub.under_way:
            await asyncio.sleep(0.01)
            assert loop.time() - began < 50, "ranged GETs went on without anybody to read them"
        await server.idle()
        assert await server.metric("bucketzip_s3_retries_total") == 0


async def test_a_mistake_of_our_own_behind_the_first_byte_is_counted_and_logged(
    stub: LyingS3, stub_server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection breaks for that too, and nobody has to guess why."""
    stub.objects.put("a", Synthetic(30 * MIB))
    url = await stub_server.link("s3://stub/")
    write, written = ResponseSink.write, 0

    async def wrong(self: ResponseSink, pieces: list[bytes | memoryview]) -> None:
        nonlocal written
        written += 1
        if written > 3:
            raise LookupError("a mistake")
        await write(self, pieces)

    monkeypatch.setattr(ResponseSink, "write", wrong)
    await breaks(stub_server, url)
    await stub_server.idle()
    assert "a mistake" in caplog.text
    assert await stub_server.metric("bucketzip_errors_total") == 1
