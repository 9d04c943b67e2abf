"""A TCP proxy that adds latency, limits bandwidth and cuts connections, in front of any host and port.

It carries bytes and understands none, so TLS and S3 signatures pass through. A client is simply pointed at its port:
the signed Host header then names the proxy, and S3 servers check the Host that arrives.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Self

READ_BYTES = 64 * 1024
LINE_PIECES = 1024  # under way at once while latency holds them: 64 MiB at most
DELIVERED_WITHIN_SECONDS = 1.0  # a client that does not read loses the rest, as it would in life
PACED_SECONDS = 0.02  # a limited line carries pieces of this length, so that it flows rather than jerks


class Cut(Enum):
    RESET = auto()  # the client gets ECONNRESET
    FIN = auto()  # the client gets a clean end, too early
    STALL = auto()  # the client gets nothing more, and waits


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one connection when this many bytes of answers, their heads included, have reached the client.

    0 cuts when the first byte of an answer comes, so the server has taken the request.
    """

    cut_after_bytes: int
    cut: Cut


class FaultProxy:
    """`async with FaultProxy(host, port, choose=lambda index: fault or None) as proxy:` listens on `proxy.port`.

    `choose` gets the number of the connection, from 0. `latency_seconds` is added to each request on its way up: one
    way or both, the client sees the same sum. `bytes_per_second` is per connection and direction, as S3's own limit is.
    All of them may be changed while it runs, for the connections made from then on.
    """

    port: int

    def __init__(
        self,
        target_host: str,
        target_port: int,
        *,
        latency_seconds: float = 0.0,
        bytes_per_second: float | None = None,
        choose: Callable[[int], Fault | None] = lambda index: None,
    ) -> None:
        self.target = target_host, target_port
        self.latency_seconds = latency_seconds
        self.bytes_per_second = bytes_per_second
        self.choose = choose
        self.connections = 0
        self.open_connections = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        def accept(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
            self._serving[asyncio.create_task(self._serve(client, to_client))] = to_client

        self._server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=READ_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        outcomes = await asyncio.gather(*self._serving, return_exceptions=True)
        for to_client in self._serving.values():
            to_client.transport.abort()  # a task cancelled before its first step has not
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome  # a mistake in here must not pass for a fault

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        fault = self.choose(self.connections)
        self.connections += 1
        self.open_connections += 1
        writers = [to_client]
        try:
            target, to_target = await asyncio.open_connection(*self.target, limit=READ_BYTES)
            writers.append(to_target)
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(self._carry_up(client, to_target))
                both_ways.create_task(self._carry_down(target, to_client, fault))
        except* OSError:  # one side broke, or nobody listens there, or it is the fault: the client's side breaks
            await _reset(to_client)
        finally:
            self.open_connections -= 1
            for writer in writers:
                writer.transport.abort()  # loses nothing: what was forwarded is with the kernel

    async def _carry_up(self, client: asyncio.StreamReader, to_target: asyncio.StreamWriter) -> None:
        """Carry requests by a delay line: each piece has its moment, and the next ones are read meanwhile.

        Sleeping for each piece instead would turn latency into a bandwidth limit.
        """
        loop = asyncio.get_running_loop()
        latency_seconds = self.latency_seconds
        pace = _Pace(self.bytes_per_second)
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(LINE_PIECES if latency_seconds else 1)

        async def fill() -> None:
            piece = b"first"
            while piece:
                piece = await client.read(pace.piece_bytes)
                await line.put((loop.time() + latency_seconds, piece))

        async with asyncio.TaskGroup() as group:
            group.create_task(fill())
            while True:
                due, piece = await line.get()
                await asyncio.sleep(due - loop.time())
                await pace.wait_for(piece)
                if not piece:
                    to_target.write_eof()
                    return
                await _forward(piece, to_target)
                self.bytes_up += len(piece)

    async def _carry_down(
        self, target: asyncio.StreamReader, to_client: asyncio.StreamWriter, fault: Fault | None
    ) -> None:
        """Carry answers without a line, so a client that stops reading stops the server, as it would without us."""
        pace = _Pace(self.bytes_per_second)
        room_bytes = fault.cut_after_bytes if fault else sys.maxsize
        while piece := await target.read(pace.piece_bytes):
            piece = piece[:room_bytes]
            room_bytes -= len(piece)
            await pace.wait_for(piece)
            await _forward(piece, to_client)
            self.bytes_down += len(piece)
            if fault and not room_bytes:
                if fault.cut is Cut.RESET:
                    raise ConnectionResetError
                if fault.cut is Cut.STALL:
                    return  # the connection stays until the client leaves, and the server waits with the rest
                break
        to_client.write_eof()


class _Pace:
    def __init__(self, bytes_per_second: float | None) -> None:
        self._bytes_per_second = bytes_per_second
        self._free_at = 0.0
        self.piece_bytes = READ_BYTES
        if bytes_per_second:
            self.piece_bytes = min(READ_BYTES, max(1, int(bytes_per_second * PACED_SECONDS)))

    async def wait_for(self, piece: bytes) -> None:
        if self._bytes_per_second:
            now = asyncio.get_running_loop().time()
            self._free_at = max(self._free_at, now) + len(piece) / self._bytes_per_second
            await asyncio.sleep(self._free_at - now)


async def _forward(piece: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(0)  # drain then waits until the kernel has it all
    writer.write(piece)
    await writer.drain()


async def _reset(writer: asyncio.StreamWriter) -> None:
    """Let the coming close send RST instead of FIN, once the peer has got all that was forwarded."""
    if writer.transport.is_closing():
        return  # it is this side that broke
    connection = writer.get_extra_info("socket")
    until = asyncio.get_running_loop().time() + DELIVERED_WITHIN_SECONDS
    while _undelivered_bytes(connection.fileno()) and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.001)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _undelivered_bytes(fd: int) -> int:
    """Ask the kernel for what the peer has not acknowledged; RST would throw it away."""
    (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))
    return int(count)
