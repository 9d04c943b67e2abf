"""What nobody is told of and has to be looked for: how long work waits, and what room is left.

Every process of a machine looks, since any of them may be the one whose threads are busy; what it tells of the machine
is the same in all.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bucketzip.metrics import Metrics
from bucketzip.state.database import Database
from bucketzip.state.jobs import Jobs
from bucketzip.state.manifests import Manifests

_log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0


class Watch:
    """Keeps the gauges of a machine, and tries out how long its threads let work wait."""

    def __init__(
        self, metrics: Metrics, database: Database, jobs: Jobs, manifests: Manifests, state_directory: Path
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._jobs = jobs
        self._manifests = manifests
        self._state_directory = state_directory

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Watch"]:
        """Look now, and then every few seconds."""
        await self.look()
        task = asyncio.create_task(self._look_for_ever())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def look(self) -> None:
        """Once. Raises OSError and sqlite3.Error, as where the disk is gone."""
        metrics = self._metrics
        began = time.monotonic()
        await asyncio.to_thread(time.monotonic)
        metrics.thread_wait_seconds.labels("pool").observe(time.monotonic() - began)
        began = time.monotonic()
        await self._database.read(lambda _: None)
        metrics.thread_wait_seconds.labels("state").observe(time.monotonic() - began)
        waits = await self._jobs.waits()
        metrics.archives_queued_seconds.set(waits.queued)
        metrics.archives_still_seconds.set(waits.still)
        disk = await asyncio.to_thread(shutil.disk_usage, self._state_directory)
        metrics.state_disk_bytes.set(disk.total)
        metrics.state_free_bytes.set(disk.free)
        metrics.manifests_bytes.set(await asyncio.to_thread(self._manifests.used_bytes))
        metrics.manifests_limit_bytes.set(self._manifests.limit_bytes)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception:  # noqa: BLE001  -- a full disk, a locked file: the next look may do better
                _log.warning("it could not be looked at how this machine is", exc_info=True)
