"""Clients that are slow on purpose are let go: they cannot hold connections, and with them the server, for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from bucketzip.embedded import EmbeddedS3
from tests.command import serving

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Sends nothing at all."""
    return await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """A header that never ends, a few bytes at a time, so that the connection is never idle for long."""
    writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    answer = asyncio.create_task(reader.read())
    while not answer.done():
        writer.write(b"x")
        await asyncio.wait([answer], timeout=0.1)
    return await answer


async def drip_after_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The same with the second request of a connection."""
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"}")
    return await drip(reader, writer)


async def half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Announces more than it sends; returns the head of the answer."""
    writer.write(b'POST /downloads HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"sources": [')
    return await reader.readuntil(b"\r\n\r\n")


async def drip_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Sends it in chunks of a byte."""
    writer.write(b"POST /downloads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    while not answer.done():
        writer.write(b"1\r\n \r\n")
        await asyncio.wait([answer], timeout=0.1)
    return await answer


async def test_slow_heads_and_bodies_are_ended(s3_server: EmbeddedS3, tmp_path: Path) -> None:
    with serving(s3_server.environment(), tmp_path, "--client-read-seconds=1") as server:
        address = urlsplit(await asyncio.to_thread(lambda: server.base))

        async def tried(client: Client) -> bytes:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            try:
                return await client(reader, writer)
            except ConnectionResetError:
                return b""
            finally:
                writer.transport.abort()

        async with asyncio.timeout(120):
            clients = [silent, drip, drip_after_an_answer, half_a_body, drip_a_body]
            *closed, half, dripped = await asyncio.gather(*(tried(client) for client in clients))
        assert closed == [b"", b"", b""], "closed without a word: there was no request"
        assert half.startswith(b"HTTP/1.1 408 ")
        assert dripped.startswith(b"HTTP/1.1 408 ")
        async with aiohttp.ClientSession() as client, client.get(f"{address.geturl()}/healthz") as answer:
            assert answer.status == 200
        assert "Traceback" not in server.log
