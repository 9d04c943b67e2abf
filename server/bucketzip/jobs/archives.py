"""Jobs as their owners use them: made, looked at, watched and cancelled, by any process of the machine."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from bucketzip.errors import NoSuchArchive
from bucketzip.jobs import requested
from bucketzip.jobs.model import Job, State
from bucketzip.plan.request import ArchiveRequest
from bucketzip.plan.sealing import Given, Sealing
from bucketzip.state.capabilities import Capabilities, hash_capability, new_id
from bucketzip.state.jobs import Jobs, new_token
from bucketzip.state.paging import Page
from bucketzip.transfer.ports import LabelledCounter

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often it is looked what a watched job has come to; another process may run it."""


class Archives:
    """Archives that are written into buckets. `wake` tells the runner, if it is in this process, to look for work.

    `check` raises InvalidRequest for what a request may not want here. `queued_per_user` is how many jobs of one owner
    may wait.
    """

    def __init__(
        self,
        jobs: Jobs,
        sealing: Sealing,
        wake: Callable[[], None],
        *,
        capabilities: Capabilities,
        outcomes: LabelledCounter,
        check: Callable[[ArchiveRequest], None] = lambda _: None,
        queued_per_user: int | None = None,
    ) -> None:
        self._jobs = jobs
        self._sealing = sealing
        self._queued_per_user = queued_per_user
        self._wake = wake
        self._capabilities = capabilities
        self._outcomes = outcomes
        self._check = check
        self._closing = asyncio.Event()

    async def create(self, request: ArchiveRequest, owner: str, idempotency_key: str | None = None) -> tuple[Job, bool]:
        """A queued job, and whether it is new: the same key and request give the same job again.

        Raises IdempotencyConflict where the key came with another request, DestinationInSource, TooManyQueued, and
        InvalidRequest where its credentials may not be used.
        """
        self._check(request)
        bucket, key = requested.destination(request)
        job_id = new_id()
        made = Job(
            id=job_id,
            owner=owner,
            idempotency_key=idempotency_key,
            request=request.model_dump_json(),
            request_digest=request.digest,
            priority=request.priority,
            created_at=int(time.time()),
            bucket=bucket,
            key=key,
            token=new_token(),
            result_capability_hash=hash_capability(self._capabilities.of_result(job_id)),
            credential=self._sealing.seal(request.credentials),
        )
        kept = await self._jobs.add(made, most_queued=self._queued_per_user)
        if kept.id == job_id:
            _log.info("archive accepted", extra={"job": job_id, "archive": f"s3://{bucket}/{key}", "who": owner})
        self._wake()
        return kept, kept.id == made.id

    async def get(self, job_id: str) -> Job:
        """The job; raises NoSuchArchive."""
        job = await self._jobs.get(job_id)
        if job is None:
            raise NoSuchArchive
        return job

    async def page(
        self, *, owner: str | None = None, state: State | None = None, after: str | None = None, limit: int
    ) -> Page[Job]:
        """The newest first, of one owner or of all; `after` is the `next` of the page before.

        Raises InvalidRequest where it is none.
        """
        return await self._jobs.page(owner=owner, state=state, after=after, limit=limit)

    async def cancel(self, job_id: str, reason: str) -> Job:
        """Ask for the end of a job; a queued one has come to it on return. Raises NoSuchArchive, ArchiveFinished."""
        job = await self._jobs.request_cancel(job_id, reason)
        if job is None:
            raise NoSuchArchive
        if job.state.is_final:  # it was queued: no runner will count it
            self._outcomes.labels(State.CANCELLED).inc()
        return job

    async def resume(self, job_id: str, given: Given) -> Job:
        """Have a job go on that failed for its credentials, with others; raises NoSuchArchive, NotResumable."""
        sealed = self._sealing.seal(given)
        assert sealed is not None
        job = await self._jobs.resume(job_id, sealed)
        if job is None:
            raise NoSuchArchive
        self._wake()
        return job

    async def have_leftovers(self) -> bool:
        """Whether something of jobs that are over is in S3 that could not be aborted."""
        return bool(await self._jobs.with_leftovers())

    async def counts(self) -> dict[State, int]:
        """How many jobs there are in each state."""
        return await self._jobs.counts()

    async def watch(
        self, job_id: str, since_revision: int | None = None, *, quiet_seconds: float = math.inf
    ) -> AsyncGenerator[Job, None]:
        """The job whenever it changed: at once if it is of another revision than that, then 4 times a second at most.

        After `quiet_seconds` without a change it comes as it was. Ends with the job, or when this process is to end.
        Who is slow to take it misses steps, but never the last. Raises NoSuchArchive.
        """
        told_at = time.monotonic()
        while not self._closing.is_set():
            job = await self.get(job_id)
            if job.revision != since_revision or time.monotonic() - told_at >= quiet_seconds:
                yield job
                since_revision, told_at = job.revision, time.monotonic()
            if job.state.is_final:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._closing.wait()

    @property
    def is_closing(self) -> bool:
        """Whether what waits for jobs is to end, since this process is."""
        return self._closing.is_set()

    def close(self) -> None:
        """End all watching: what watches is to end, too."""
        self._closing.set()
