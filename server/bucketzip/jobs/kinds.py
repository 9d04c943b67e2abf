"""The two kinds of archives that jobs make. What they share is all that a job knows of either.

A stored one is cut into parts beforehand (`stored_execution.py`): they are made side by side, and most of them inside
S3. A compressed one is made from front to end (`compressed_execution.py`).
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Protocol

from bucketzip.jobs.archive_job import ArchivePlanning, cut
from bucketzip.jobs.compressed_execution import CompressedExecution
from bucketzip.jobs.patience import Patience
from bucketzip.jobs.ports import JobMetrics, Multipart
from bucketzip.jobs.progress import Outcome, Progress
from bucketzip.jobs.receipted import Receipted
from bucketzip.jobs.stored_execution import StoredExecution
from bucketzip.jobs.undo import Undo, upload_of
from bucketzip.jobs.widths import Widths
from bucketzip.plan.request import ArchiveRequest
from bucketzip.state.jobs import Job, Jobs
from bucketzip.state.receipts import Receipts
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.opened import OpenArchives, Opened
from bucketzip.transfer.pump import Engine


@dataclass(frozen=True)
class Tools:
    """What all jobs of an account share."""

    jobs: Jobs
    receipts: Receipts
    planning: ArchivePlanning
    archives: OpenArchives
    engine: Engine
    multipart: Multipart
    compressor: Compressor
    widths: Widths
    metrics: JobMetrics
    patience_seconds: float

    @property
    def undo(self) -> Undo:
        """Takes back what a job did in S3."""
        return Undo(self.jobs, self.multipart)


class Execution(Protocol):
    """Making the parts of one archive."""

    @property
    def opened(self) -> Opened:
        """The archive."""

    @property
    def there(self) -> Receipted:
        """The parts that are done."""

    async def replay(self) -> None:
        """Take up what was done before; to be called once, first."""

    async def run(self) -> None:
        """Make all that is missing; raises what keeps it from being made."""

    async def forget_lost(self) -> list[int]:
        """Drop the receipts of what has to be made again for parts that S3 does not have so; their numbers."""

    def outcome(self) -> Outcome:
        """What was made, once all parts are there."""


async def taken_up(
    tools: Tools, job: Job, request: ArchiveRequest, patience: Patience, progress: Progress
) -> Execution:
    """What makes the parts of a planned job, with what is done already. Raises FileNotFoundError without a plan."""
    assert job.manifest is not None
    opened = await tools.archives.get(job.manifest)
    there = Receipted(job.id, tools.receipts, upload_of(job), tools.multipart, patience)
    sent_bytes = tools.metrics.sent_bytes
    execution: Execution
    if compression := request.compressing:
        aim = await asyncio.to_thread(tools.planning.compressed_part_bytes, opened.layout.manifest)
        execution = CompressedExecution(
            opened, compression, tools.compressor, aim, there, tools.widths, progress, sent_bytes
        )
    else:
        parts = await asyncio.to_thread(cut, opened.layout, json.loads(job.copy_from))
        execution = StoredExecution(opened, tools.engine, parts, there, tools.widths, progress, sent_bytes)
    await execution.replay()
    return execution
