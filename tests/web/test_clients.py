"""Clients of every kind at once: slow, stuck, many. Nobody holds the others up, and memory stays within its budget."""

import asyncio
import contextlib
import hashlib
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bucketzip.commands.self_signed import self_signed
from bucketzip.commands.tls import Certificate
from bucketzip.embedded import EmbeddedS3
from bucketzip.transfer.blocks import BlockPool
from bucketzip.web import keys
from bucketzip.web.send import ResponseSink
from tests.bucket import Bucket
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20


async def slowly(url: str, *, bytes_per_second: float, seconds: float, receive_buffer: int = 16 << 10) -> bytes:
    """Read a link at a rate for a time; returns what came. A small receive buffer makes the server feel it."""
    parts = urlsplit(url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)  # noqa: FBT003  -- the socket's own interface
    await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
    reader, writer = await asyncio.open_connection(
        sock=raw,
        limit=receive_buffer,
        ssl=trusting_anybody() if parts.scheme == "https" else None,
        server_hostname=parts.hostname if parts.scheme == "https" else None,
    )
    try:
        writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        got = bytearray()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (passed := loop.time() - began) < seconds:
            due = len(got) / bytes_per_second
            if due > passed:
                await asyncio.sleep(min(due, seconds) - passed)
                continue
            chunk = await reader.read(64 << 10)
            if not chunk:
                break
            got += chunk
        return bytes(got)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ended(*clients: asyncio.Task[bytes]) -> None:
    """Have them leave."""
    for client in clients:
        client.cancel()
    for left in await asyncio.gather(*clients, return_exceptions=True):
        assert isinstance(left, asyncio.CancelledError | ConnectionError), left


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def test_a_slow_client_holds_little_and_nobody_up(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 10 KB/s one client takes next to nothing, while another gets its archive at full speed."""
    for number in range(8):
        stub.objects.put(f"{number:02}", Synthetic(9 * MIB, number))
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, memory_bytes=32 * MIB) as server:
        url = await server.link("s3://stub/")
        slow = [asyncio.create_task(slowly(url, bytes_per_second=10_000, seconds=600)) for _ in range(3)]
        await asyncio.sleep(4)
        budget = server.app[keys.OWN].engine.budget
        assert budget.used_bytes <= 3 * 3 * MIB, "each holds one window and what is on its way"
        assert len(await server.fetch(url)) > 8 * 9 * MIB
        assert not any(task.done() for task in slow), "it waited for none of them"
        await ended(*slow)
        await server.idle()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_memory_under_a_view_is_never_used_again_too_early(
    scheme: str, stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are overwritten as soon as they are given back, and slow readers still get the right bytes.

    CPython 3.11 copies what a socket does not take, and would hide a block given back too early; so the moment itself
    is checked too: nothing of it may be left in the transport.
    """
    left: list[int] = []
    sinks: list[ResponseSink] = []
    real_write, real_give_back = ResponseSink.write, BlockPool.give_back

    async def write(self: ResponseSink, pieces: list[bytes | memoryview]) -> None:
        sinks.append(self)
        await real_write(self, pieces)
        if any(isinstance(piece, memoryview) for piece in pieces[-1:]):
            left.append(self.unsent_bytes())

    def give_back(self: BlockPool, piece: bytes | memoryview) -> None:
        if isinstance(piece, memoryview):
            block = memoryview(piece.obj).cast("B")
            block[:] = b"\xee" * len(block)
        real_give_back(self, piece)

    monkeypatch.setattr(ResponseSink, "write", write)
    monkeypatch.setattr(BlockPool, "give_back", give_back)
    for number in range(3):
        stub.objects.put(f"{number}", Synthetic(9 * MIB + number, number))
    certificate = Certificate(*self_signed(tmp_path / "tls")) if scheme == "https" else None
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch, certificate) as server:
        url = await server.link("s3://stub/")
        whole = hashlib.sha256(await server.fetch(url)).digest()
        for rate in (8 * MIB, 20 * MIB):
            got = await slowly(url, bytes_per_second=rate, seconds=60)
            assert hashlib.sha256(got).digest() == whole
    assert left
    assert scheme == "https" or not any(left)


async def test_entries_larger_than_the_memory_for_them_are_read_twice(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under pressure an entry is read for its CRC first, and the archive is the same to the byte."""
    sizes = [7 * MIB, 300, 5 * MIB, 8 * MIB, 2 * MIB]
    for number, size in enumerate(sizes):
        stub.objects.put(f"{number}", Synthetic(size, number))
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch) as server:
        alone = await server.zip("s3://stub/")
    async with serving(environment, tmp_path, monkeypatch, memory_bytes=16 * MIB) as server:
        url = await server.link("s3://stub/")
        budget = server.app[keys.OWN].engine.budget
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, budget.used_bytes)
                await asyncio.sleep(0.005)

        watching = asyncio.create_task(watch())
        archives = await asyncio.gather(*(server.fetch(url) for _ in range(12)))
        watching.cancel()
        assert all(archive == alone for archive in archives)
        assert most <= 16 * MIB
        await server.idle()


async def test_two_hundred_clients_at_once(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bucket.put_many({f"{i}": bytes([i]) * 60_000 for i in range(10)} | {"large": b"L" * (MIB + 1)})
    async with serving(s3_server.environment(), tmp_path, monkeypatch) as server:
        url = await server.link(bucket.url())
        whole = await server.fetch(url)
        budget = server.app[keys.OWN].engine.budget

        async def one(number: int) -> bool:
            rate = 10_000 if number % 10 == 0 else 1 << 40
            got = await slowly(
                url, bytes_per_second=rate, seconds=5 if number % 10 == 0 else 600, receive_buffer=64 << 10
            )
            return got == whole if number % 10 else whole.startswith(got)

        assert all(await asyncio.gather(*map(one, range(200))))
        assert budget.used_bytes <= budget.total_bytes
        await server.idle()


async def test_one_download_too_many_is_told_to_come_back(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.objects.put("a", Synthetic(9 * MIB))
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, memory_bytes=16 * MIB) as server:
        url = await server.link("s3://stub/")
        stuck = [asyncio.create_task(slowly(url, bytes_per_second=1, seconds=600)) for _ in range(32)]
        while await server.metric("bucketzip_downloads_active") < 32:
            await asyncio.sleep(0.05)
        async with server.client.get(url) as answer:
            assert answer.status == 503
            assert re.fullmatch(r"\d+", answer.headers["Retry-After"])
            assert (await answer.json())["error"] == "too_busy"
        await ended(*stuck)


async def test_a_client_that_takes_nothing_is_let_go(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.objects.put("a", Synthetic(30 * MIB))
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, client_stall_seconds=1) as server:
        url = await server.link("s3://stub/")
        stuck = asyncio.create_task(slowly(url, bytes_per_second=1, seconds=600))
        while not await _outcomes(server, "stalled"):
            await asyncio.sleep(0.1)
        assert await _outcomes(server, "stalled") == 1
        await server.idle()
        await ended(stuck)


async def _outcomes(server: Server, outcome: str) -> float:
    async with server.client.get(f"{server.base}/metrics") as answer:
        return sum(_values(await answer.text(), rf'bucketzip_downloads_total{{outcome="{outcome}"}}'))


def _values(text: str, name: str) -> Iterator[float]:
    return (float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))
