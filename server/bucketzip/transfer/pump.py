"""The thin shell around the schedule: starts reads, writes what may go out, and goes on until all of it went.

One pump a download. It owns its fetches: whatever ends it, they end with it, on the wire too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

from bucketzip.archive.crc import crc32
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import READ_AHEAD_BYTES, Source
from bucketzip.archive.segments import Segment
from bucketzip.transfer.blocks import BLOCK_BYTES, SMALL_BLOCK_BYTES, BlockPool, cost
from bucketzip.transfer.budget import Budget
from bucketzip.transfer.crcs import Crcs
from bucketzip.transfer.fetch import Fetch, Piece
from bucketzip.transfer.ports import RangeReader, Sink
from bucketzip.transfer.schedule import Schedule
from bucketzip.transfer.window import Window

GATHER_BYTES = 256 << 10
"""Small pieces are joined up to this before they are written."""

PARALLEL_RANGES = 8
TICK_SECONDS = 1.0
MEMORY_PATIENCE_SECONDS = 0.5
"""How long an entry waits for the memory to hold it whole, before it is read twice."""


@dataclass(frozen=True)
class Engine:
    """What all downloads of a process share, and how each may use it."""

    reader: RangeReader
    budget: Budget
    pool: BlockPool = field(default_factory=BlockPool)
    range_bytes: int = READ_AHEAD_BYTES
    reads_at_once: int = 64
    """Ranges in flight for one download."""
    stall_seconds: float = 60.0
    """A client that takes nothing for so long is let go."""


Learned = Callable[[int], Awaitable[None]]


class ClientStalled(ConnectionError):
    """The client took no byte for too long."""


class Pump:
    """Sends segments of one archive. Use as a context manager; `prime`, then `run`.

    `learned` waits for the CRC of an entry whose content is not among the segments.
    """

    def __init__(
        self, engine: Engine, layout: Layout, crcs: Crcs, segments: Iterator[Segment], learned: Learned
    ) -> None:
        self._engine = engine
        self._schedule = Schedule(layout, crcs, segments)
        self._learned = learned
        self._wake = asyncio.Event()
        self._share = engine.budget.join(wake=self._wake.set, shed=self._shed_all)
        self._window = Window(engine.budget.total_bytes)
        self._in_flight = 0
        self._error: Exception | None = None
        self._out: list[Piece] = []
        self._out_memory_bytes = 0
        self._sink: Sink | None = None
        self._stalled = False
        self.sent_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._looked_at = self._moved_at = self._loop.time()
        self._cpu_seconds = time.process_time()
        self._seen: tuple[int, int] = (0, 0)
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for fetch in self._schedule.fetches():
            self._let_go(fetch)
        self._give_back_blocks()
        self._share.leave()
        self._sink = None  # it may hold a whole part, and this stays in cycles until they are collected

    @property
    def has_bytes(self) -> bool:
        """Whether anything could go out."""
        return bool(self._out)

    @property
    def window_bytes(self) -> int:
        """What may be in flight and buffered for this client now."""
        return self._window.size_bytes

    async def prime(self) -> None:
        """Wait until the first bytes of an object could go out, or as much as does not wait for another one's CRC.

        What goes wrong here can still be answered with an error.
        """
        while not self._primed():
            await self._next()

    def _primed(self) -> bool:
        if self._schedule.finished or self._schedule.content_went_out or sum(map(len, self._out)) >= GATHER_BYTES:
            return True
        return self.has_bytes and (blocked := self._schedule.blocked()) is not None and not blocked.own

    async def run(self, sink: Sink) -> None:
        """Send everything; raises what broke it. The caller then breaks the connection."""
        self._sink = sink
        while True:
            if self._out:
                await self._write(sink)
            elif self._schedule.finished:
                return
            await self._next()

    async def _next(self) -> None:
        """Start what can be read, and wait until something may go out."""
        if self._error is not None:
            raise self._error
        self._wake.clear()
        self._start_reads()
        had = len(self._out)
        self._out_memory_bytes += self._schedule.take(self._out, GATHER_BYTES)
        if len(self._out) > had or self._schedule.finished:
            return
        blocked = self._schedule.blocked()
        if blocked is None:
            await self._woken()
        elif not blocked.own:
            await self._learned(blocked.entry)
        elif not await self._woken(MEMORY_PATIENCE_SECONDS) and self._schedule.blocked() == blocked:
            self._schedule.learn(blocked.entry, await self._read_crc(blocked.entry))

    def _start_reads(self) -> None:
        engine, share, window = self._engine, self._share, self._window
        # Several ranges side by side from the start; as the window opens they get longer, and so fewer.
        range_bytes = min(engine.range_bytes, max(1, window.size_bytes // PARALLEL_RANGES // BLOCK_BYTES) * BLOCK_BYTES)

        def reserve(count: int) -> bool:
            return share.used_bytes < window.size_bytes and share.take(count)

        while self._in_flight < engine.reads_at_once:
            fetch = self._schedule.next_read(range_bytes, reserve, self._new_fetch)
            if fetch is None:
                return
            self._in_flight += 1
            engine.reader.start(fetch)

    async def _write(self, sink: Sink) -> None:
        count = sum(map(len, self._out))
        try:
            await sink.write(self._out)
        except (asyncio.CancelledError, ConnectionError):
            if self._stalled:  # we broke it ourselves, however that came back to us
                raise ClientStalled from None
            raise
        self.sent_bytes += count
        self._window.taken(count)
        self._give_back_blocks()
        self._share.give_back(self._out_memory_bytes)
        self._out_memory_bytes = 0

    def _give_back_blocks(self) -> None:
        for piece in self._out:
            self._engine.pool.give_back(piece)
        self._out.clear()

    async def _woken(self, timeout_seconds: float | None = None) -> bool:
        """Wait for a fetch or for memory; False when the time is up."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        if self._error is not None:
            raise self._error
        return True

    async def _read_crc(self, entry: int) -> int:
        """Read an entry for its CRC alone, a small block at a time, which fits into the reserve."""
        source, size = self._schedule.source(entry)
        crc = 0
        for start in range(0, size, SMALL_BLOCK_BYTES):
            length = min(SMALL_BLOCK_BYTES, size - start)
            while not self._share.take(cost(length)):
                self._wake.clear()
                await self._woken(MEMORY_PATIENCE_SECONDS)
            fetch = self._new_fetch(source, start, start + length, size, urgent=True)
            self._engine.reader.start(fetch)
            self._in_flight += 1
            try:
                while not fetch.complete:
                    self._wake.clear()
                    await self._woken()
                for piece in fetch.pieces:
                    crc = crc32(piece, crc)
            finally:
                self._let_go(fetch)
            self._share.give_back(cost(length))
        return crc

    def _new_fetch(self, source: Source, start: int, stop: int, size: int, urgent: bool) -> Fetch:  # noqa: FBT001  -- as the schedule calls it
        return Fetch(source, start, stop, size=size, pool=self._engine.pool, on_change=self._changed, urgent=urgent)

    def _changed(self, fetch: Fetch) -> None:
        if fetch.error is not None:
            self._error = self._error or fetch.error
            self._in_flight -= 1
        elif fetch.complete:
            self._in_flight -= 1
        self._wake.set()

    def _let_go(self, fetch: Fetch) -> None:
        """End a fetch and give its blocks back."""
        if not fetch.complete and fetch.error is None:
            self._engine.reader.cancel(fetch)
            self._in_flight -= 1
        fetch.drop()

    def _shed_all(self) -> None:
        self._shed(0)

    def _shed(self, keep_bytes: int) -> None:
        for fetch, freed_bytes in self._schedule.shed(keep_bytes):
            self._let_go(fetch)
            self._share.drop(freed_bytes)

    def _tick(self) -> None:
        """Once a second: close the window of a slow client, let go of one that takes nothing."""
        now = self._loop.time()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        if self._sink is None:
            return
        state = (self.sent_bytes, self._sink.unsent_bytes())
        if state != self._seen or not self._out:  # with nothing to write it is S3 that is waited for
            self._seen, self._moved_at = state, now
        elif now - self._moved_at >= self._engine.stall_seconds:
            self._stalled = True
            self._sink.abort()
            return
        cpu_seconds = time.process_time()
        self._window.elapsed(now - self._looked_at, cpu_seconds - self._cpu_seconds, writing=bool(self._out))
        self._looked_at, self._cpu_seconds = now, cpu_seconds
        if self._share.stalled():
            self._shed(self._window.size_bytes)
