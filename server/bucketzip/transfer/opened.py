"""Archives that are being sent: manifest, layout and CRCs, shared by all who send the same one at the same time."""

import asyncio
import contextlib
import dataclasses
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from bucketzip.archive.deflated import Compression, DeflatedArchive
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import Manifest
from bucketzip.archive.segments import Span
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.crcs import Crcs
from bucketzip.transfer.deflating import Deflating
from bucketzip.transfer.learner import Learner
from bucketzip.transfer.outlets import Outlet, ToClient
from bucketzip.transfer.ports import CrcMemory, RemoteCrcs, Sink
from bucketzip.transfer.pump import Engine, Pump

_log = logging.getLogger(__name__)

KEEP_SECONDS = 1.0
"""How often what was learned is written down."""
KEPT_AT_ONCE = 2000
RECENT_SECONDS = 60.0
"""An archive that nobody sends any more stays open for so long: a broken download soon goes on."""


class Opened:
    """One archive, opened."""

    def __init__(
        self, engine: Engine, layout: Layout, crcs: Crcs, memory: CrcMemory, remote: RemoteCrcs | None
    ) -> None:
        self.layout = layout
        self._engine = engine
        self.memory = memory
        self.crcs = crcs
        self.learner = Learner(engine, layout, crcs, memory, remote)

    @contextlib.contextmanager
    def sending(self, start: int, stop: int) -> Iterator[Pump]:
        """A pump of bytes `[start, stop)`; what they need of other entries is being learned meanwhile."""
        segments = self.layout.cut(start, stop)
        with contextlib.ExitStack() as stack:
            pump = Pump(self._engine, self.layout, self.crcs, segments, self.learner.learned)
            stack.enter_context(pump)
            if stop - start < self.layout.size:
                stack.enter_context(self.learner.wanting(self.layout.told_elsewhere(start, stop)))
            yield pump

    @contextlib.contextmanager
    def reading(self) -> Iterator[Pump]:
        """A pump of all content of objects, in the order of the directory, without records."""
        manifest = self.layout.manifest
        spans = (
            Span(entry, 0, size) for entry, size in enumerate(manifest.sizes) if size and manifest.inline(entry) is None
        )
        with Pump(self._engine, self.layout, self.crcs, spans, self.learner.learned) as pump:
            yield pump

    @contextlib.contextmanager
    def deflating(
        self,
        archive: DeflatedArchive,
        compressor: Compressor,
        outlet: Outlet,
        *,
        patient: bool = False,
    ) -> Iterator[tuple[Pump, Deflating]]:
        """A pump of the content that a compressed archive still needs, and its sink, from which the archive goes out.

        `patient`: nobody is let go for taking nothing.
        """
        engine = dataclasses.replace(self._engine, stall_seconds=math.inf) if patient else self._engine
        with (
            Pump(engine, self.layout, self.crcs, archive.spans(), self.learner.learned) as pump,
            Deflating(archive, compressor, engine.budget, outlet, window_bytes=lambda: pump.window_bytes) as sink,
        ):
            yield pump, sink

    def compressed(self, compression: Compression, checkpoints: Iterable[bytes] = ()) -> DeflatedArchive:
        """The archive with compressed entries, behind what the checkpoints tell of."""
        return DeflatedArchive(self.layout.manifest, self.crcs.learn, compression, checkpoints)

    def to_client(self, sink: Sink) -> ToClient:
        """A way out of a compressed archive, for a client that is let go as any."""
        return ToClient(sink, self._engine.stall_seconds)

    async def keep_refuted(self) -> None:
        """Write down which objects were found to have another CRC than was known of them."""
        for source, size in self.crcs.take_refuted():
            await self.memory.refute(source, size)


class OpenArchives:
    """The archives in use, by digest; one that nobody sends any more is let go."""

    def __init__(
        self, open_manifest: Callable[[str], Manifest], engine: Engine, memory: CrcMemory, remote: RemoteCrcs | None
    ) -> None:
        self._open = open_manifest
        self._engine = engine
        self._memory = memory
        self._remote = remote
        self._opened: WeakValueDictionary[str, Opened] = WeakValueDictionary()
        self._unkept: set[Opened] = set()
        self._recent: dict[Opened, float] = {}

    async def get(self, digest: str) -> Opened:
        """The archive of a manifest; raises FileNotFoundError where that is gone."""
        opened = self._opened.get(digest)
        if opened is None:
            manifest = await asyncio.to_thread(self._open, digest)
            opened = self._opened.get(digest)  # somebody else may have been faster
            if opened is None:
                crcs = Crcs(manifest, lambda: self._note(digest))
                layout = Layout(manifest, digest)
                opened = self._opened[digest] = Opened(self._engine, layout, crcs, self._memory, self._remote)
        self._recent[opened] = asyncio.get_running_loop().time()
        return opened

    def _note(self, digest: str) -> None:
        """Hold on to an archive until what was learned of it is written down."""
        self._unkept.add(self._opened[digest])

    @asynccontextmanager
    async def running(self) -> AsyncIterator["OpenArchives"]:
        """Write down what is learned, now and then and at the end."""
        keeper = asyncio.create_task(self._keep_for_ever())
        try:
            yield self
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            for opened in list(self._opened.values()):
                await opened.learner.close()
            await self._keep()

    async def _keep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            await self._keep()
            forgotten = asyncio.get_running_loop().time() - RECENT_SECONDS
            self._recent = {opened: at for opened, at in self._recent.items() if at > forgotten}

    async def _keep(self) -> None:
        for opened in list(self._unkept):
            self._unkept.discard(opened)
            while learned := opened.crcs.take_fresh(KEPT_AT_ONCE):
                try:
                    await self._memory.keep(learned)
                except Exception:  # noqa: BLE001  -- whatever it is, it costs a later read and no download
                    _log.warning("learned CRCs could not be kept", exc_info=True)
