"""One archive job, run to its end by the process that wants it. No server is needed."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from bucketzip.errors import ArchiveFinished, ContentMismatch
from bucketzip.jobs.model import Job
from bucketzip.machine import Machine

ABANDON_SECONDS = 60.0
"""How long it may take to undo a job. S3 may be slow, or away."""


class End(NamedTuple):
    """What came of it."""

    job: Job | None
    """None where there was nothing to do."""
    left_behind: bool
    """Whether an upload is in S3 that could not be aborted."""

    @property
    def is_clean(self) -> bool:
        """Whether nobody needs anything of its state. A CRC that was refuted will not be trusted by the next run."""
        refuted = self.job is not None and self.job.error_code == ContentMismatch.code
        return not self.left_behind and not refuted


async def watched(machine: Machine, job: Job, tell: Callable[[Job], object]) -> Job:
    """The job at its end, while the machine's runner runs; `tell` is called whenever it changed."""
    async for now in machine.jobs.watch(job.id):
        job = now
        tell(job)
    return job


async def abandon(machine: Machine, job: Job) -> bool:
    """Have the job undone, while the machine's runner runs; returns whether that is done, and nothing is left in S3."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ABANDON_SECONDS):
            with suppress(ArchiveFinished):
                await machine.jobs.cancel(job.id, "abandoned")
            await watched(machine, job, lambda _: None)
            return not (await end_of(machine, job)).left_behind
    return False


async def end_of(machine: Machine, job: Job | None) -> End:
    """What came of the job, once its leftovers in S3 were tried to be aborted."""
    await machine.leftovers.abort()
    return End(job, await machine.jobs.have_leftovers())
