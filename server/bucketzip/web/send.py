"""Sending an archive's bytes: exactly as many as announced, or the connection breaks.

aiohttp neither minds a body shorter than its Content-Length (the client waits for ever) nor a longer one (silently
cut), so the bytes are counted here.

The rule about memory: since CPython 3.12 a plain transport keeps a reference to what it could not send, and `drain`
returns at the low-water mark, so a block that is used again too early corrupts the archive silently. On a plain
transport the marks are set to 0, so that drain returns when all is sent. Not on TLS: it encrypts, and so copies, at
once; and with marks of 0 it hangs.
"""

import asyncio
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from aiohttp import HttpVersion11, web

from bucketzip.transfer.fetch import Piece

DRAIN_BYTES = 64 << 10
"""aiohttp waits for the transport once more than this was written."""


class ClientGone(ConnectionError):
    """The client closed the connection before it had everything."""


def break_off(request: web.Request) -> None:
    """Break the connection, so that no client takes what it has for the whole.

    An HTTP/1.0 client (nginx in front of us is one) takes the end of the connection for the end of a body without
    length; it has to see a reset instead.
    """
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if request.version < HttpVersion11 and connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class ResponseSink:
    """Implements `transfer.ports.Sink` on a prepared response of `length` bytes; None where nobody knows."""

    def __init__(self, request: web.Request, response: web.StreamResponse, length: int | None) -> None:
        self._request = request
        self._response = response
        self._transport = cast("asyncio.Transport", request.transport)
        self._missing = length
        self._plain = self._transport.get_extra_info("sslcontext") is None
        if self._plain:
            self._transport.set_write_buffer_limits(0)

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Send the pieces; small ones together, so that a system call carries more than one of them."""
        small: list[Piece] = []
        for piece in pieces:
            if len(piece) <= DRAIN_BYTES:
                small.append(piece)
                continue
            if small:
                await self._write(b"".join(small))
                small.clear()
            await self._write(piece)
            if self._plain and self._transport.get_write_buffer_size():
                raise ClientGone("the connection was lost while a block was being sent")
        if small:
            await self._write(b"".join(small))

    def unsent_bytes(self) -> int:
        """What the client has not taken of the current write."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Break the connection."""
        break_off(self._request)

    async def finish(self) -> None:
        """End the response; raises ClientGone where the client did not stay until the last byte."""
        if self._missing:
            raise RuntimeError(f"{self._missing} bytes less than announced")
        await self._response.write_eof()
        if self._transport.is_closing():
            raise ClientGone("the connection was lost before the end")

    async def _write(self, data: bytes | memoryview) -> None:
        if self._missing is not None:
            self._missing -= len(data)
            if self._missing < 0:
                raise RuntimeError("more bytes than announced")
        await self._response.write(data)
