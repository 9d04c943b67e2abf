"""Which links are being downloaded right now, in whatever process of the machine."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bucketzip.state.running import RunningDownloads

_log = logging.getLogger(__name__)

TELL_SECONDS = 1.0
"""How often the other processes are told at most: one write that waits for no disk."""


class Activity:
    """What goes on in this process, by the ids of links, and what others tell of themselves."""

    def __init__(self, running: RunningDownloads) -> None:
        self._running = running
        self._own = Counter[str]()
        self._changed = asyncio.Event()

    @contextmanager
    def counted(self, link_id: str) -> Iterator[None]:
        """A download of this link goes on within."""
        self._own[link_id] += 1
        self._changed.set()
        try:
            yield
        finally:
            self._own[link_id] -= 1
            if not self._own[link_id]:
                del self._own[link_id]
            self._changed.set()

    async def counts(self) -> Counter[str]:
        """How many go on, by link; those of other processes as they were up to two seconds ago."""
        return self._own + await self._running.of_others()

    async def watch(self) -> None:
        """Tell the other processes for ever; cancel it."""
        forgotten = False
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                if not forgotten:
                    await self._running.forget_dead()
                    forgotten = True
                await self._running.tell(dict(self._own))
            except Exception:  # noqa: BLE001  -- a locked file, say: the next time may do better
                _log.exception("running downloads could not be told to the other processes")
                self._changed.set()
            await asyncio.sleep(TELL_SECONDS)
