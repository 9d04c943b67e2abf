"""Memory for the parts that are made in it: many short ones at once, or two of the longest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """For up to `most_parts` at once, and up to `most_bytes` of them, in the order in which they come."""

    def __init__(self, most_parts: int, most_bytes: int) -> None:
        self._parts = asyncio.Semaphore(most_parts)
        self._free_bytes = self._most_bytes = most_bytes
        self._first = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def of(self, length: int) -> AsyncIterator[None]:
        """Wait until there is room for so many bytes; one that is longer than all of it has it alone."""
        taken = min(length, self._most_bytes)
        async with self._parts:
            async with self._first:  # who waits for much is not overtaken by those who want little
                while self._free_bytes < taken:
                    self._freed.clear()
                    await self._freed.wait()
                self._free_bytes -= taken
            try:
                yield
            finally:
                self._free_bytes += taken
                self._freed.set()
