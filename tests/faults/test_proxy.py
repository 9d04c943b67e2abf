"""The proxy does what its faults say, to the byte, and is transparent otherwise: signatures and TLS pass."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket, connect
from tests.faults.proxy import Cut, Fault, FaultProxy

ANSWER = os.urandom(300_000)


@asynccontextmanager
async def answering_server() -> AsyncIterator[int]:
    """Gives the port of a server that sends ANSWER for each line it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while await reader.readline():
                writer.write(ANSWER)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def asked_through(proxy: FaultProxy) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"please\n")
    yield reader
    writer.close()


@pytest.mark.parametrize("after_bytes", [0, 1, 100_000, len(ANSWER)])
async def test_cut_with_reset(after_bytes: int) -> None:
    async with (
        answering_server() as port,
        FaultProxy("127.0.0.1", port, choose=lambda _: Fault(after_bytes, Cut.RESET)) as proxy,
    ):
        async with asked_through(proxy) as answer:
            assert await answer.readexactly(after_bytes) == ANSWER[:after_bytes]
            with pytest.raises(ConnectionResetError):
                await answer.read(1)
        assert proxy.bytes_down == after_bytes


@pytest.mark.parametrize("after_bytes", [0, 1, 100_000, len(ANSWER)])
async def test_cut_with_a_clean_end(after_bytes: int) -> None:
    async with (
        answering_server() as port,
        FaultProxy("127.0.0.1", port, choose=lambda _: Fault(after_bytes, Cut.FIN)) as proxy,
        asked_through(proxy) as answer,
    ):
        assert await answer.read() == ANSWER[:after_bytes]


async def test_stall_lasts_until_the_client_leaves() -> None:
    async with (
        answering_server() as port,
        FaultProxy("127.0.0.1", port, choose=lambda _: Fault(100_000, Cut.STALL)) as proxy,
    ):
        async with asked_through(proxy) as answer:
            assert await answer.readexactly(100_000) == ANSWER[:100_000]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(answer.read(1), 0.1)
            assert proxy.open_connections == 1
        async with asyncio.timeout(120):
            while proxy.open_connections:
                await asyncio.sleep(0.001)


async def test_only_chosen_connections_are_hit() -> None:
    def second(index: int) -> Fault | None:
        return Fault(5, Cut.FIN) if index == 1 else None

    async with answering_server() as port, FaultProxy("127.0.0.1", port, choose=second) as proxy:
        async with asked_through(proxy) as first, asked_through(proxy) as other:
            assert await first.readexactly(len(ANSWER)) == ANSWER
            assert await other.read() == ANSWER[:5]
            assert (proxy.connections, proxy.open_connections) == (2, 2)
        assert proxy.bytes_up == 2 * len(b"please\n")


async def test_latency_delays_but_does_not_limit() -> None:
    pieces, latency_seconds = 100, 0.5

    async with answering_server() as port, FaultProxy("127.0.0.1", port, latency_seconds=latency_seconds) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        started = time.monotonic()
        for _ in range(pieces):  # as pieces of their own, each of which waits so long
            writer.write(b"please\n")
            await asyncio.sleep(0.001)
        await reader.readexactly(len(ANSWER))
        first_after = time.monotonic() - started
        await reader.readexactly((pieces - 1) * len(ANSWER))
        writer.close()
        assert first_after >= latency_seconds
        assert time.monotonic() - started < pieces * latency_seconds / 2


async def test_limited_bandwidth() -> None:
    async with answering_server() as port, FaultProxy("127.0.0.1", port, bytes_per_second=1_000_000) as proxy:
        started = time.monotonic()
        async with asked_through(proxy) as answer:
            assert await answer.readexactly(len(ANSWER)) == ANSWER
        assert time.monotonic() - started >= 0.25


async def test_nobody_behind_it_is_a_reset() -> None:
    async with answering_server() as port:
        pass
    async with FaultProxy("127.0.0.1", port) as proxy, asked_through(proxy) as answer:
        with pytest.raises(ConnectionResetError):
            await answer.read(1)


async def test_it_may_end_at_any_moment() -> None:
    async with answering_server() as port:
        for turns in range(10):
            async with FaultProxy("127.0.0.1", port) as proxy, asked_through(proxy):
                for _ in range(turns):
                    await asyncio.sleep(0)


async def test_signatures_pass(s3_server: EmbeddedS3, bucket: Bucket) -> None:
    await bucket.put("a key", b"content")
    target = urlsplit(s3_server.endpoint_url)
    async with FaultProxy("127.0.0.1", target.port or 0) as proxy, connect(s3_server, port=proxy.port) as client:
        answer = await client.get_object(Bucket=bucket.name, Key="a key")
        assert await answer["Body"].read() == b"content"


async def test_tls_passes(tls_s3_server: EmbeddedS3) -> None:
    target = urlsplit(tls_s3_server.endpoint_url)
    async with FaultProxy("127.0.0.1", target.port or 0) as proxy, connect(tls_s3_server, port=proxy.port) as client:
        await client.head_bucket(Bucket=tls_s3_server.bucket)
        assert proxy.bytes_down > 0
