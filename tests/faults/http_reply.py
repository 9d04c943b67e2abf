"""One HTTP answer as a value, with all that can be wrong about it; sent as exactly those bytes.

Nothing is derived on the way out: Content-Length is a header like any other, and need not be true.
"""

import asyncio
import http
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from tests.faults.content import Content, Given

PIECE_BYTES = 256 * 1024
NOTHING = Given(b"")


def no_effect() -> None:
    """What an answer to a read does to the store."""


class After(Enum):
    KEEP = auto()  # the connection waits for the next request
    CLOSE = auto()
    STALL = auto()  # it stays open, and nothing comes any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The body is `[start, stop)` of the content. `before` and `behind` are raw bytes around the whole answer.

    `effect` is what it does to the store, once, before it is sent. An answer made anew does nothing. One that is held
    goes out when the event is set.
    """

    status: int = 200
    reason: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content = NOTHING
    start: int = 0
    stop: int = 0
    delay_seconds: float = 0.0
    held: asyncio.Event | None = None
    piece_seconds: float = 0.0
    before: bytes = b""
    head: bytes | None = None
    behind: bytes = b""
    chunked: bool = False
    after: After = After.KEEP
    effect: Callable[[], None] = no_effect

    def encoded_head(self) -> bytes:
        if self.head is not None:
            return self.head
        reason = http.HTTPStatus(self.status).phrase if self.reason is None else self.reason
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Sent(web.StreamResponse):
    """Tells aiohttp that the answer has been written, and whether to keep the connection."""

    def __init__(self, *, keep: bool) -> None:
        super().__init__()
        self._keep = keep

    @property
    def keep_alive(self) -> bool:
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class Pauses:
    """How many answers wait, for a time to pass or for the test."""

    def __init__(self) -> None:
        self.waiting = 0

    async def wait(self, what: Awaitable[object]) -> None:
        self.waiting += 1
        try:
            await what
        finally:
            self.waiting -= 1


async def send(reply: Reply, writer: AbstractStreamWriter, pauses: Pauses, *, without_body: bool) -> Sent:
    """Write the answer at the pace the client reads; `without_body` is for an answer to HEAD."""
    await asyncio.sleep(0)
    if reply.delay_seconds:
        await pauses.wait(asyncio.sleep(reply.delay_seconds))
    if reply.held is not None:
        await pauses.wait(reply.held.wait())
    await writer.write(reply.before + reply.encoded_head())
    if not without_body:
        for start in range(reply.start, reply.stop, PIECE_BYTES):
            piece = reply.content.read(start, min(start + PIECE_BYTES, reply.stop))
            await writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked else piece)
            if reply.piece_seconds:
                await pauses.wait(asyncio.sleep(reply.piece_seconds))
        if reply.chunked:
            await writer.write(b"0\r\n\r\n")
    await writer.write(reply.behind)
    await writer.drain()
    if reply.after is After.STALL:
        await pauses.wait(asyncio.Event().wait())  # cancelled when the client leaves or the server ends
    return Sent(keep=reply.after is After.KEEP)
