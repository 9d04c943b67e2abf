"""Where a compressed archive goes that becomes a file: its walk can go on behind the bytes that are safe there."""

import asyncio
from collections.abc import Iterable

from bucketzip.archive.walked import Walked
from bucketzip.local.part_file import PartFile
from bucketzip.local.sinks import FileSink, Written
from bucketzip.transfer.outlets import ToSink


class ToFile(ToSink):
    """Implements `transfer.outlets.Outlet`."""

    def __init__(self, part: PartFile, walked: Walked, written: Written) -> None:
        super().__init__(FileSink(part, None, written))
        self._part = part
        self._walked = walked
        self._taking = asyncio.Lock()

    async def take(self, steps: Iterable[bytes]) -> None:
        """Raises CannotSave."""
        async with self._taking:
            await super().take(steps)

    async def sync(self) -> None:
        """Have on the disk what is written, and with it what another walk goes on by."""
        async with self._taking:
            length = self._part.length
            if length != self._walked.position:  # it took less than it was given, and so it is over
                return
            checkpoint = self._walked.checkpoint()
        await asyncio.to_thread(self._part.sync, length, checkpoint)
