"""Learns the CRCs that a slice needs of entries it does not have: read once for all who wait, and kept.

A download that goes on near its end needs the CRC of every entry for the directory. Of large entries S3 is asked to
compute it, where it can. The others are computed by sending their content to nowhere, with the same machinery, budget
and fairness as any download.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import READ_AHEAD_BYTES, Source
from bucketzip.archive.segments import Span
from bucketzip.errors import TooBusy
from bucketzip.transfer.crcs import Crcs
from bucketzip.transfer.fetch import Piece
from bucketzip.transfer.ports import CrcMemory, RemoteCrcs
from bucketzip.transfer.pump import Engine, Pump

BATCH = 1000
BUSY_PAUSE_SECONDS = 0.5
LINGER_SECONDS = 60.0
"""How long it goes on when nobody waits any more: a client that was told to come back does."""


class Learner:
    """The learner of one archive. Its task is there only while there is something to learn."""

    def __init__(
        self, engine: Engine, layout: Layout, crcs: Crcs, memory: CrcMemory, remote: RemoteCrcs | None
    ) -> None:
        self._engine = engine
        self._layout = layout
        self._crcs = crcs
        self._memory = memory
        self._remote = remote
        self._wanted: deque[Iterator[int]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._progress = asyncio.Event()
        self._users = 0
        self._giving_up: asyncio.TimerHandle | None = None

    @contextmanager
    def wanting(self, entries: Iterable[int]) -> Iterator[None]:
        """Learn the CRCs of these entries meanwhile, after those already wanted; the known ones are passed over.

        When nobody wants anything any more it goes on for a while, and then stops.
        """
        self._users += 1
        if self._giving_up is not None:
            self._giving_up.cancel()
        self._wanted.append(iter(entries))
        self._task = self._running()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._giving_up = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._give_up)

    async def learned(self, entry: int) -> None:
        """Return once the CRC of an entry is known; raises what kept it from being read."""
        task: asyncio.Task[None] | None = None
        while self._crcs.get(entry) is None:
            if task is None or task.done():  # a task that ended may have forgotten what was wanted
                self._wanted.appendleft(iter([entry]))  # it is what somebody waits for now
                task = self._running()
            self._progress.clear()
            progress = asyncio.ensure_future(self._progress.wait())
            try:
                await asyncio.wait([progress, task], return_when=asyncio.FIRST_COMPLETED)
            finally:
                progress.cancel()
            if task.done() and not task.cancelled():
                task.result()  # raises what it ended with

    async def close(self) -> None:
        """Stop."""
        if self._giving_up is not None:
            self._giving_up.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _running(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
            # Whoever waits hears of a failure; where nobody does, it is no news.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._task

    def _give_up(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._wanted:
                batch = list(islice(self._wanted[0], BATCH))
                if not batch:
                    self._wanted.popleft()
                    continue
                unknown = [entry for entry in batch if self._crcs.get(entry) is None]
                await self.recall(unknown)
                await self._have_computed(unknown)
                await self._compute(unknown)
                await asyncio.sleep(0)
        finally:
            self._wanted.clear()
            self._progress.set()

    async def recall(self, entries: Sequence[int]) -> None:
        """Learn what an earlier download learned of these entries."""
        asked = [self._pinned(entry) for entry in entries]
        for entry, crc in zip(entries, await self._memory.recall(asked), strict=True):
            if crc is not None:
                self._crcs.recall(entry, crc)
        self._progress.set()

    async def _have_computed(self, entries: Sequence[int]) -> None:
        """Ask S3 for those of large entries, a bucket at a time, where that is not slower than to read them."""
        if self._remote is None:
            return
        large: dict[str, list[int]] = {}
        for entry in entries:
            if self._layout.manifest.sizes[entry] > READ_AHEAD_BYTES and self._crcs.get(entry) is None:
                large.setdefault(self._pinned(entry)[0].bucket, []).append(entry)
        for group in large.values():
            asked = [self._pinned(entry) for entry in group]
            if self._remote.quick and await self._remote.proven(*asked[0]):
                for entry, crc in zip(group, await self._remote.compute(asked), strict=True):
                    if crc is not None:
                        self._crcs.learn(entry, crc)
                self._progress.set()

    def _pinned(self, entry: int) -> tuple[Source, int]:
        source = self._layout.manifest.source(entry)
        assert not isinstance(source, bytes)  # its CRC stands in the manifest
        return source, self._layout.manifest.sizes[entry]

    async def _compute(self, entries: Sequence[int]) -> None:
        """Read the rest."""
        while any(self._crcs.get(entry) is None for entry in entries):
            try:
                with Pump(self._engine, self._layout, self._crcs, self._spans(entries), self.learned) as pump:
                    await pump.run(_Nowhere(self._progress))
            except TooBusy:
                await asyncio.sleep(BUSY_PAUSE_SECONDS)
        self._progress.set()

    def _spans(self, entries: Iterable[int]) -> Iterator[Span]:
        for entry in entries:
            if self._crcs.get(entry) is None:
                yield Span(entry, 0, self._layout.manifest.sizes[entry])


class _Nowhere:
    """A sink that takes everything at once: the CRC is computed on the way to it."""

    def __init__(self, progress: asyncio.Event) -> None:
        self._progress = progress

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Forget the pieces, and let who waits look."""
        self._progress.set()
        await asyncio.sleep(0)

    def unsent_bytes(self) -> int:
        """Nothing ever waits here."""
        return 0

    def abort(self) -> None:
        """Nobody is there who could take what came for the whole."""
