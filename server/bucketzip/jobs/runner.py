"""Runs the jobs of a machine: one of its processes does, whichever holds the lock.

A runner that ends, however it ends, leaves nothing to undo: the next one goes on where its jobs stand.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bucketzip.errors import BucketzipError, KeysExpired
from bucketzip.jobs.accounts import WritingAccount
from bucketzip.jobs.job_run import JobRun, Taken
from bucketzip.jobs.kinds import Tools
from bucketzip.jobs.lock import hold_lock
from bucketzip.jobs.patience import MACHINE_ERRORS
from bucketzip.jobs.undo import Leftovers
from bucketzip.logs import about
from bucketzip.plan.accounts import Accounts
from bucketzip.state.instance_key import NotSealedHere
from bucketzip.state.job_states import State
from bucketzip.state.jobs import Job, Jobs
from bucketzip.transfer.ports import LabelledCounter

_log = logging.getLogger(__name__)

JOBS_AT_ONCE = 4
"""A small job does not wait for a huge one: they take turns with parts."""
LOOK_SECONDS = 1.0
"""How often it is looked for jobs that another process accepted."""
LEFTOVERS_SECONDS = 60.0
"""How often it is tried to abort what could not be aborted before."""
AGAIN_SECONDS = 10.0
"""After which pause a job is taken up again whose state could not be written."""


class Runner:
    """Takes jobs and runs them, each by its account. `name` is this process's among `state.processes`.

    `beside` goes on for ever, too, in the one process that runs jobs. `ended` counts jobs that cannot even be begun.
    """

    def __init__(
        self,
        jobs: Jobs,
        accounts: Accounts[WritingAccount],
        tools: Callable[[WritingAccount], Tools],
        name: str,
        *,
        leftovers: Leftovers,
        beside: Callable[[], Coroutine[Any, Any, None]],
        ended: LabelledCounter,
    ) -> None:
        self._jobs = jobs
        self._accounts = accounts
        self._tools = tools
        self._name = name
        self._beside = beside
        self._ended = ended
        self._leftovers = leftovers
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    @asynccontextmanager
    async def running(self, state_directory: Path) -> AsyncIterator["Runner"]:
        """Run jobs meanwhile, whenever no other process of the machine does; what is not done stays for the next."""
        task = asyncio.create_task(self._run_for_ever(state_directory / "runner.lock"))
        try:
            yield self
        finally:
            await _end(task)

    async def _run_for_ever(self, lock: Path) -> None:
        while True:
            try:
                async with hold_lock(lock):
                    undoing = asyncio.create_task(self._undo_for_ever())
                    beside = asyncio.create_task(self._beside())
                    try:
                        await self._take_jobs_for_ever()
                    finally:  # before the next process has the lock
                        await _end(undoing, beside, *self._running.values())
            except OSError:
                _log.warning("the lock of the job runner could not be had", exc_info=True)
                await asyncio.sleep(LOOK_SECONDS)

    async def _take_jobs_for_ever(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._take_jobs()
            except Exception:  # noqa: BLE001  -- a full disk, a locked file: the next round may do better
                _log.warning("it could not be looked for jobs", exc_info=True)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _take_jobs(self) -> None:
        for job in await self._jobs.taken():  # whoever had it does not hold the lock
            if job.id not in self._running and (adopted := await self._jobs.adopt(job, self._name)):
                self._start(adopted)
        while len(self._running) < JOBS_AT_ONCE and (queued := await self._jobs.next_queued()):
            if claimed := await self._jobs.claim(queued, self._name):
                self._start(claimed)

    async def _undo_for_ever(self) -> None:
        while True:
            try:
                await self._leftovers.abort()
            except Exception:  # noqa: BLE001  -- as above
                _log.warning("it could not be looked for uploads that are left", exc_info=True)
            await asyncio.sleep(LEFTOVERS_SECONDS)

    def _start(self, job: Job) -> None:
        task = self._running[job.id] = asyncio.create_task(self._run(job))

        def ended(_: asyncio.Task[None]) -> None:
            del self._running[job.id]
            self._wake.set()

        task.add_done_callback(ended)

    async def _run(self, job: Job) -> None:
        try:
            with about(job=job.id):
                async with self._accounts.using(job.credential) as account:
                    await self._to_its_end(JobRun(self._tools(account), job))
        except Taken:
            _log.info("a job was taken over", extra={"job": job.id})
        except (KeysExpired, NotSealedHere) as error:  # it has no account any more
            await self._jobs.transition(job.id, job.state, State.FAILED, error_code=error.code, error_detail=str(error))
            self._ended.labels(State.FAILED).inc()
            _log.warning("archive", extra={"job": job.id, "outcome": error.code})
        except Exception:  # noqa: BLE001  -- its state could not be read or written
            _log.exception("a job is taken up again in a while", extra={"job": job.id})
            await asyncio.sleep(AGAIN_SECONDS)

    async def _to_its_end(self, run: JobRun) -> None:
        if run.is_cancelled:
            await run.end(State.CANCELLED)
            return
        work, watch = asyncio.create_task(run.work()), asyncio.create_task(run.watch())
        try:
            await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await _end(work)
                await run.end(State.CANCELLED)
            else:
                work.result()
        except BucketzipError as error:
            await run.end(State.FAILED, error)
        except (Taken, *MACHINE_ERRORS):
            raise
        except Exception:  # noqa: BLE001  -- whatever it was, its owner hears of it
            _log.exception("a job failed")
            await run.end(State.FAILED, BucketzipError())
        finally:
            await _end(work, watch)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
