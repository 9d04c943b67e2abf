"""Parts of a compressed archive: gathered as it is made, and sent as they fill, a few side by side.

They get their receipts in order. So a part that has one has all before it, and its checkpoint is where to go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Self

from bucketzip.archive.crc import crc32
from bucketzip.archive.walked import Walked
from bucketzip.jobs.ports import Done
from bucketzip.state.receipts import Receipt

Put = Callable[[int, memoryview, int], Awaitable[Done]]
"""Sends part `number`, which has this CRC."""
Keep = Callable[[Receipt], Awaitable[None]]


class Filling:
    """Implements `transfer.outlets.Outlet` from part `number` on; use as a context manager within the group.

    Each part but the last has `part_bytes` at least, and is in memory while it has one of the `turns`. A part that
    fails ends the `group`.
    """

    def __init__(
        self,
        walked: Walked,
        number: int,
        part_bytes: int,
        *,
        turns: asyncio.Semaphore,
        group: asyncio.TaskGroup,
        put: Put,
        keep: Keep,
    ) -> None:
        self._walked = walked
        self._number = number
        self._part_bytes = part_bytes
        self._turns = turns
        self._group = group
        self._put = put
        self._keep = keep
        self._body: bytearray | None = None
        self._kept_before: asyncio.Event | None = None
        self.sent_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._body is not None:
            self._body = None
            self._turns.release()

    async def take(self, steps: Iterable[bytes]) -> None:
        """Put them into the part, and send it where it is long enough with one."""
        for step in steps:
            if self._body is None:
                await self._turns.acquire()
                self._body = bytearray()
            self._body += step
            self.sent_bytes += len(step)
            if len(self._body) >= self._part_bytes:
                self._send(self._body)

    def finish(self) -> None:
        """Send the last part."""
        if self._body is not None:
            self._send(self._body)

    def unsent_bytes(self) -> int:
        """S3 may take its time."""
        return 0

    def abort(self) -> None:
        """The group's end is that of all."""

    def _send(self, body: bytearray) -> None:
        before, kept = self._kept_before, asyncio.Event()
        sending = self._group.create_task(self._sent(self._number, body, self._walked.checkpoint(), before, kept))
        # Not by the task itself: one that is cancelled before it begins does nothing.
        sending.add_done_callback(lambda _: self._turns.release())
        self._body, self._kept_before = None, kept
        self._number += 1

    async def _sent(
        self, number: int, body: bytearray, checkpoint: bytes, before: asyncio.Event | None, kept: asyncio.Event
    ) -> None:
        done = await self._put(number, memoryview(body), crc32(body))
        del body  # it may be long until the one before is there
        if before is not None:
            await before.wait()
        await self._keep(Receipt(number, *done, checkpoint))
        kept.set()
