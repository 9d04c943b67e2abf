"""One job, from the state in which it stands to its end. All that it knows is in the database and in S3."""

import asyncio
import json
import logging
import time
from functools import cached_property, partial
from typing import Unpack

from bucketzip.archive.manifest import ManifestError
from bucketzip.errors import (
    BucketzipError,
    ContentMismatch,
    DestinationExists,
    NoSuchObject,
    NoSuchUpload,
    S3Error,
)
from bucketzip.jobs import requested, skipped
from bucketzip.jobs.kinds import Execution, Tools, taken_up
from bucketzip.jobs.naming import free_destination
from bucketzip.jobs.patience import Patience, not_broken_off
from bucketzip.jobs.ports import Destination, Finished
from bucketzip.jobs.progress import Progress
from bucketzip.jobs.result import result_of
from bucketzip.jobs.spending import Spending
from bucketzip.jobs.stored_execution import CopyRefused
from bucketzip.plan.request import ArchiveRequest
from bucketzip.state.job_states import State
from bucketzip.state.jobs import RESUMABLE, Changes, Job

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often it is looked for a cancellation, and progress is written down."""
SPENT_SECONDS = 1.0
"""How often it is written down what the job has cost."""
REPLANS = 2
"""How often a job is planned anew: its sources vanish and may be left out, its upload does, its name is taken."""
REDOS = 3
"""How often parts that S3 lists otherwise than it told are made again."""
CREATE_SECONDS = 5.0
"""How long who wants to end waits for the answer to a creation, which may have been done."""
UNDO_SECONDS = 10.0
"""How long a job tries to abort its upload before it ends. Then `Undo.leftovers` does, when S3 is there again."""


class Taken(Exception):
    """The job is not ours any more: somebody else changed its state."""


class _NoPlan(Exception):
    """The manifest of the job is gone, damaged, or of another release."""


class JobRun:
    """A job in this process."""

    def __init__(self, tools: Tools, job: Job) -> None:
        self._tools = tools
        self._job = job
        self._execution: Execution | None = None
        self._redone = 0
        self._patience = Patience(tools.patience_seconds)
        self._progress = Progress()
        self._spending = Spending(job.spent)
        self._spending.enter(job.state)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was to be cancelled when it was last looked at."""
        return self._job.cancel_reason is not None

    @cached_property
    def _request(self) -> ArchiveRequest:
        return requested.read(self._job)

    async def work(self) -> None:
        """Do it; raises what keeps it from success."""
        with self._spending.counting():
            await self._work()

    async def _work(self) -> None:
        while not self._job.state.is_final:
            try:
                await self._forget_unheard()
                await self._step()
            except CopyRefused as refused:
                await self._record(no_copy=json.dumps([*json.loads(self._job.no_copy), refused.bucket]))
                await self._plan_anew(f"nothing is copied from s3://{refused.bucket}: {refused}")
            except _NoPlan:
                await self._plan_anew("planned anew: its plan is not there any more, or damaged")
            except BucketzipError as error:
                if not self._is_worth_another_plan(error):
                    raise
                await self._record(replans=self._job.replans + 1)
                if _vanished(error):
                    await self._record(skipped=skipped.after_vanishing(self._job.skipped, error))
                await self._plan_anew(f"planned anew: {error}")

    async def _step(self) -> None:
        """From one state to the next."""
        if self._job.state is State.PLANNING:
            await self._plan()
            return
        execution = self._execution = self._execution or await self._taken_up()
        try:
            if self._job.state is State.RUNNING:
                await execution.run()
                await self._move(State.FINISHING)
            else:
                await self._finish(execution)
        except ContentMismatch:
            await execution.opened.keep_refuted()  # what was wrong is not believed again
            raise

    def _is_worth_another_plan(self, error: BucketzipError) -> bool:
        """Whether the archive may do without what vanished, or was given a name that was taken meanwhile.

        An upload that is gone is begun again.
        """
        if self._job.replans >= REPLANS or self._job.state is State.PLANNING:
            return False
        if isinstance(error, DestinationExists):
            return self._request.if_exists == "rename"
        skips = _vanished(error) and self._request.on_missing == "skip"
        return skips or isinstance(error, NoSuchUpload)

    async def watch(self) -> None:
        """Write down the progress and the cost meanwhile; return when the job is to be cancelled."""
        jobs, written, spent_at = self._tools.jobs, Progress(), time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                job = await jobs.get(self._job.id)
                if job is None or job.cancel_reason is not None:
                    return
                if self._progress != written:
                    written = Progress(**vars(self._progress))
                    await jobs.progress(self._job.id, **vars(written))
                if time.monotonic() - spent_at >= SPENT_SECONDS:
                    spent_at = time.monotonic()
                    await jobs.spent(self._job.id, self._spending.as_json())
            except Exception:  # noqa: BLE001  -- it is looked at again in a moment
                _log.warning("a job could not be looked at", exc_info=True)

    async def end(self, state: State, error: BucketzipError | None = None) -> None:
        """It did not succeed: nothing of it stays in the bucket. One that was cancelled too late did, after all."""
        job = await self._tools.jobs.get(self._job.id)  # whoever was cancelled may have done one thing more
        if job is None or job.state.is_final:
            raise Taken
        self._job = job
        told: Changes = {} if error is None else {"error_code": error.code, "error_detail": str(error)}
        if job.credential and error is not None and error.code in RESUMABLE:  # its upload waits for others
            await self._move(state, **told)
            return
        try:
            async with asyncio.timeout(UNDO_SECONDS):
                await self._tools.undo.upload(self._job)
                await self._tools.undo.unheard(self._job)
                if state is State.CANCELLED and await self._was_completed():
                    return
        except (BucketzipError, TimeoutError) as problem:
            why = str(problem) or "S3 does not answer"
            await self._tools.jobs.note(self._job.id, f"its upload is aborted later, if it is still there: {why}")
        else:
            told |= {"upload_id": None, "creating_at": None}
        await self._move(state, **told)

    async def _was_completed(self) -> bool:
        """Whether S3 had put the archive together before it heard that it should not."""
        if self._job.state is not State.FINISHING:
            return False
        try:
            execution = self._execution or await self._taken_up()
            with self._spending.counting():
                finished = await self._complete(execution)
        except (NoSuchUpload, DestinationExists, _NoPlan):
            return False
        await self._succeed(execution, finished)
        return True

    async def _plan(self) -> None:
        """From nothing to an upload that waits for its parts."""
        tools, job = self._tools, self._job
        destination = await self._patience.with_(partial(free_destination, tools.multipart, self._request))
        planned = await self._patience.with_(
            partial(tools.planning.plan, self._request, destination, json.loads(job.no_copy))
        )
        _log.info(
            "archive planned",
            extra={
                "job": job.id,
                "archive": destination.url,
                "bytes": planned.size,
                "entries": planned.entries,
                "parts": planned.parts,
                "missing": len(planned.missing),
            },
        )
        for text in planned.notes:
            await tools.jobs.note(job.id, text)
        await self._record(
            key=destination.key,
            manifest=planned.manifest,
            bytes=planned.size,
            entries=planned.entries,
            parts=planned.parts,
            copy_from=json.dumps(planned.copy_from),
            skipped=skipped.after_planning(job.skipped, planned.missing),
        )
        await self._patience.with_(lambda: not_broken_off(self._begin(destination), seconds=CREATE_SECONDS))

    async def _begin(self, destination: Destination) -> None:
        """Begin the upload, so that it is found whatever happens in between."""
        await self._abort_unheard()  # of an earlier try
        await self._record(creating_at=time.time())
        try:
            upload = await self._tools.multipart.create(destination, requested.options(self._request), self._job.token)
        except BucketzipError as error:
            if not error.retryable:  # S3 did hear, and refused
                await self._record(creating_at=None)
            raise
        told: Changes = {"upload_id": upload.upload_id, "checksums": upload.checksums}
        if not upload.perhaps_twice:
            told["creating_at"] = None
        await self._move(State.RUNNING, **told)

    async def _forget_unheard(self) -> None:
        await self._patience.with_(self._abort_unheard)

    async def _abort_unheard(self) -> None:
        if self._job.creating_at is not None:
            await self._tools.undo.unheard(self._job)
            await self._record(creating_at=None)

    async def _taken_up(self) -> Execution:
        """What makes the parts, with what is done already."""
        self._progress = Progress()
        try:
            return await taken_up(self._tools, self._job, self._request, self._patience, self._progress)
        except (FileNotFoundError, ManifestError) as error:
            raise _NoPlan from error

    async def _finish(self, execution: Execution) -> None:
        """Have S3 put the parts together; back to making them where it lost some."""
        try:
            if lost := await execution.forget_lost():
                self._redone += 1
                if self._redone > REDOS:
                    raise S3Error(f"s3://{self._job.bucket}/{self._job.key}: S3 does not keep parts as sent: {lost}")
                await self._move(State.RUNNING)
                return
        except NoSuchUpload:
            _log.info("the upload is gone: it may have been completed", extra={"job": self._job.id})
        await self._succeed(execution, await self._patience.with_(partial(self._complete, execution)))

    async def _complete(self, execution: Execution) -> Finished:
        return await self._tools.multipart.complete(
            execution.there.upload,
            execution.there.done(),
            crc=execution.there.crc(),
            size=execution.outcome().bytes,
            options=requested.options(self._request),
            token=self._job.token,
        )

    async def _succeed(self, execution: Execution, finished: Finished) -> None:
        now = time.time()
        result = result_of(self._job, execution, finished, self._spending, now)
        await self._move(
            State.SUCCEEDED,
            upload_id=None,
            copied_bytes_done=self._progress.copied_bytes,
            built_bytes_done=self._progress.built_bytes,
            entries_done=len(execution.opened.layout.manifest),
            result=json.dumps(result),
            result_expires_at=int(now) + self._request.link_expires_in,
        )

    async def _plan_anew(self, why: str) -> None:
        """Throw away what was made of it."""
        await self._tools.jobs.note(self._job.id, why)
        self._execution = None
        await self._patience.with_(partial(self._tools.undo.upload, self._job))
        await self._tools.receipts.drop_all(self._job.id)
        await self._move(State.PLANNING, upload_id=None, checksums=None)

    async def _record(self, **changes: Unpack[Changes]) -> None:
        self._job = _ours(await self._tools.jobs.record(self._job.id, **changes))

    async def _move(self, state: State, **changes: Unpack[Changes]) -> None:
        changes["spent"] = self._spending.as_json()
        self._job = _ours(await self._tools.jobs.transition(self._job.id, self._job.state, state, **changes))
        self._spending.enter(state)
        if state.is_final:
            self._tell()

    def _tell(self) -> None:
        """How it ended: one line for whoever looks for a job, and the figures for whoever looks at all of them."""
        job, metrics = self._job, self._tools.metrics
        seconds = sum(self._spending.phases().values())
        metrics.ended.labels(job.state).inc()
        metrics.seconds.labels(job.state).observe(seconds, {"job": job.id})
        _log.info(
            "archive",
            extra={
                "job": job.id,
                "archive": f"s3://{job.bucket}/{job.key}",
                "outcome": job.error_code or job.state,
                "bytes": job.bytes,
                "entries": job.entries,
                "copied_bytes": self._progress.copied_bytes,
                "built_bytes": self._progress.built_bytes,
                "seconds": round(seconds, 3),
            },
        )


def _ours(job: Job | None) -> Job:
    if job is None:
        raise Taken
    return job


def _vanished(error: BucketzipError) -> bool:
    """Whether an object is gone; of an upload something else is to be said."""
    return isinstance(error, NoSuchObject) and not isinstance(error, NoSuchUpload)
