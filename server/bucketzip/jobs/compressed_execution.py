"""Making a compressed archive from where it stands to its end, once, from front to end.

A receipt of a part has the checkpoint of the walk behind it. What goes wrong on the way, if it may go better another
time, breaks all of it off, and it goes on from the last receipt after a pause: just as after a crash.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

from bucketzip.archive.deflated import Compression, DeflatedArchive
from bucketzip.archive.walked import Form, Walked, done
from bucketzip.jobs.filling import Filling
from bucketzip.jobs.patience import first_of
from bucketzip.jobs.progress import Outcome, Progress
from bucketzip.jobs.receipted import Receipted
from bucketzip.jobs.widths import Widths
from bucketzip.state.receipts import Receipt
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.opened import Opened
from bucketzip.transfer.ports import LabelledCounter

WAY = "compressed"


@dataclass
class CompressedExecution:
    """Implements `kinds.Execution`. Each part but the last has `part_bytes` at least."""

    opened: Opened
    compression: Compression
    compressor: Compressor
    part_bytes: int
    there: Receipted
    widths: Widths
    progress: Progress
    sent_bytes: LabelledCounter
    """By way."""

    async def replay(self) -> None:
        """Take up what was done before."""
        await self.there.read()
        self._count()

    async def run(self) -> None:
        """Make what is missing; raises what keeps it from being made."""
        await self.there.patience.with_(self._go_on)

    async def forget_lost(self) -> list[int]:
        """Drop the receipts from the first part on that S3 does not have so; returns the numbers of those."""
        lost = await self.there.lost()
        if lost:
            await self.there.drop([number for number in self.there.have if number >= min(lost)])
            self._count()
        return lost

    def outcome(self) -> Outcome:
        """What all parts are."""
        walked = self._walked()
        return Outcome(
            bytes=self.there.size(),
            parts=len(self.there.have),
            copied_bytes=0,
            source_bytes=walked.content,
            stored=walked.count(Form.STORED),
            deflated=walked.count(Form.DEFLATED) + walked.count(Form.OPEN),
        )

    async def _go_on(self) -> None:
        archive = self.opened.compressed(self.compression, self._checkpoints())
        if archive.walked.complete:
            return
        try:
            async with asyncio.TaskGroup() as group:
                await self._make(archive, group)
        except ExceptionGroup as errors:
            raise first_of(errors) from errors

    async def _make(self, archive: DeflatedArchive, group: asyncio.TaskGroup) -> None:
        there = self.there
        filling = Filling(
            archive.walked,
            len(there.have) + 1,
            self.part_bytes,
            turns=self.widths.compressed,
            group=group,
            put=partial(there.multipart.put, there.upload),
            keep=self._keep,
        )
        with filling, self.opened.deflating(archive, self.compressor, filling, patient=True) as (pump, sink):
            await pump.run(sink)
            await sink.finish()
            filling.finish()

    async def _keep(self, receipt: Receipt) -> None:
        await self.there.keep(receipt)
        self._count()
        self.sent_bytes.labels(WAY).inc(receipt.size)

    def _count(self) -> None:
        have = self.there.have
        self.progress.entries, self.progress.built_bytes = done(have[len(have)].pieces) if have else (0, 0)

    def _walked(self) -> Walked:
        walked = Walked(len(self.opened.layout.manifest))
        for checkpoint in self._checkpoints():
            walked.unpack(checkpoint)
        return walked

    def _checkpoints(self) -> list[bytes]:
        return [receipt.pieces for _, receipt in sorted(self.there.have.items())]
