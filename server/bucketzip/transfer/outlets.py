"""Where a compressed archive goes as it is made, a block or some records at a time."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from bucketzip.transfer.ports import Sink
from bucketzip.transfer.pump import ClientStalled

SEND_BYTES = 64 << 10
"""A client that takes no more than this for the time that it may stall is let go."""


class Outlet(Protocol):
    """Takes the archive in order."""

    @property
    def sent_bytes(self) -> int:
        """How much was taken."""

    async def take(self, steps: Iterable[bytes]) -> None:
        """Take what comes next. Before each step the walk stands behind the last one, and nowhere else."""

    def unsent_bytes(self) -> int:
        """Bytes that the other side has not taken yet."""

    def abort(self) -> None:
        """Break the connection."""


class ToSink:
    """To who may take as long as it likes."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.sent_bytes = 0

    async def take(self, steps: Iterable[bytes]) -> None:
        """Send them together."""
        await self._send(b"".join(steps))

    def unsent_bytes(self) -> int:
        """By the sink."""
        return self._sink.unsent_bytes()

    def abort(self) -> None:
        """By the sink."""
        self._sink.abort()

    async def _send(self, data: bytes) -> None:
        await self._sink.write([data])
        self.sent_bytes += len(data)


class ToClient(ToSink):
    """To a client, which is let go when it takes nothing for so long: the pump does not look at all that is sent."""

    def __init__(self, sink: Sink, stall_seconds: float) -> None:
        super().__init__(sink)
        self._stall_seconds = stall_seconds

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(data), SEND_BYTES):
            try:
                async with asyncio.timeout(self._stall_seconds):
                    await super()._send(bytes(view[start : start + SEND_BYTES]))
            except TimeoutError:
                self.abort()
                raise ClientStalled from None
