"""Making the parts of a stored archive that are not there yet, by kinds, none of which waits for a later one.

1.  Copies, and content that is built without records: they wait for nothing, and tell the CRCs of large entries.
2.  Entries with their headers. A header in front of content that was copied waits for the CRC that the copy tells.
3.  The directory, which tells all CRCs.

While some are read others are sent, so that both directions of the line are used, and what waits for a copy waits for
that one alone. Each part that is done has a receipt, kept before it counts. What a receipt tells of CRCs is enough to
go on after a crash without reading anything again.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from bucketzip.archive.crc import crc32
from bucketzip.archive.parts import Kind, Part, bytes_through_host
from bucketzip.archive.pieces import PieceMismatch, Pieces
from bucketzip.archive.segments import Span
from bucketzip.errors import AccessDenied, BucketzipError, ContentMismatch, Unsupported
from bucketzip.jobs.building import Told, read_content, write_records
from bucketzip.jobs.patience import first_of
from bucketzip.jobs.ports import Done
from bucketzip.jobs.progress import Outcome, Progress
from bucketzip.jobs.receipted import Receipted
from bucketzip.jobs.widths import BUILDS_AT_ONCE, COPIES_AT_ONCE, Widths
from bucketzip.state.receipts import Receipt
from bucketzip.transfer.opened import Opened
from bucketzip.transfer.ports import LabelledCounter
from bucketzip.transfer.pump import Engine

_PIECE = struct.Struct("<IQQI")


@dataclass
class StoredExecution:
    """Implements `kinds.Execution`. `parts[number - 1]` is part `number`."""

    opened: Opened
    engine: Engine
    parts: Sequence[Part]
    there: Receipted
    widths: Widths
    progress: Progress
    sent_bytes: LabelledCounter
    """By way."""

    def __post_init__(self) -> None:
        self._pieces = Pieces(self.opened.layout.manifest.sizes)
        self._missing: Counter[bool] = Counter()
        """Parts, by whether they are of the directory."""
        self._untold: Counter[int] = Counter()
        """Missing parts that are content of an entry and nothing else, by the entry."""
        self._one_more = asyncio.Condition()

    async def replay(self) -> None:
        """Take up what was done before."""
        for receipt in await self.there.read():
            self._count(receipt, _told(receipt.pieces))

    async def run(self) -> None:
        """Make all parts without a receipt; raises what keeps one from being made."""
        missing = [(part.kind, number) for number, part in enumerate(self.parts, 1) if number not in self.there.have]
        self._missing = Counter(kind is Kind.DIRECTORY for kind, _ in missing)
        contents = [self.parts[number - 1].content for _, number in missing]
        self._untold = Counter(content.entry for content in contents if content is not None)
        copies = iter([number for kind, number in missing if kind is Kind.COPIED])
        builds = iter([number for kind, number in sorted(missing) if kind is not Kind.COPIED])
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(COPIES_AT_ONCE):
                    group.create_task(self._work(copies))
                for _ in range(BUILDS_AT_ONCE):
                    group.create_task(self._work(builds))
        except ExceptionGroup as errors:  # the rest of the group was cancelled
            raise first_of(errors) from errors

    async def forget_lost(self) -> list[int]:
        """Drop the receipts of parts that S3 does not have so; returns their numbers."""
        lost = await self.there.lost()
        for receipt in await self.there.drop(lost):
            self._discount(receipt)
        return lost

    def outcome(self) -> Outcome:
        """What all parts are."""
        layout = self.opened.layout
        return Outcome(
            bytes=layout.size,
            parts=len(self.parts),
            copied_bytes=layout.size - bytes_through_host(self.parts),
            source_bytes=sum(layout.manifest.sizes),
            stored=len(layout.manifest),
            deflated=0,
        )

    async def _work(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            part = self.parts[number - 1]
            await self._others_told(part)  # takes no room: those who tell may need it
            done, told = await self.there.patience.with_(partial(self._make, number, part))
            receipt = Receipt(number, *done, _packed(told))
            await self.there.keep(receipt)
            self._count(receipt, told)
            self.sent_bytes.labels(self._way(number)).inc(receipt.size)
            async with self._one_more:
                self._missing[part.kind is Kind.DIRECTORY] -= 1
                if part.content is not None:
                    self._untold[part.content.entry] -= 1
                self._one_more.notify_all()

    async def _others_told(self, part: Part) -> None:
        """Wait for the parts that tell the CRCs which this one needs."""
        if part.kind is Kind.MIXED:
            entries = list(self.opened.layout.told_elsewhere(part.start, part.stop))
            async with self._one_more:
                await self._one_more.wait_for(lambda: not any(self._untold[entry] for entry in entries))
        elif part.kind is Kind.DIRECTORY:
            async with self._one_more:
                await self._one_more.wait_for(lambda: not self._missing[False])

    async def _make(self, number: int, part: Part) -> tuple[Done, Told]:
        """What is taken here is let go before a pause after a failure: another job may be of more luck."""
        if part.kind is Kind.COPIED:
            async with self.widths.copies:
                return await self._copy(number, part)
        async with self.widths.room.of(part.length):
            return await self._build(number, part)

    async def _copy(self, number: int, part: Part) -> tuple[Done, Told]:
        span = part.content
        assert span is not None
        source = self.opened.layout.manifest.source(span.entry)
        assert not isinstance(source, bytes)
        try:
            done = await self.there.multipart.copy(
                self.there.upload, number, source, (span.start, span.stop), whole=self._is_whole(span)
            )
        except (AccessDenied, Unsupported) as error:
            raise CopyRefused(source.bucket, error) from error
        return done, [(span, done.crc)]

    async def _build(self, number: int, part: Part) -> tuple[Done, Told]:
        layout, crcs = self.opened.layout, self.opened.crcs
        async with self.widths.reads:
            body, told = await read_content(self.engine, layout, crcs, part)
        self._tell(told)
        for entry in layout.told_elsewhere(part.start, part.stop):
            if crcs.get(entry) is None:
                await self.opened.learner.learned(entry)
        await write_records(layout, crcs, part, body)
        return await self.there.multipart.put(self.there.upload, number, memoryview(body), crc32(body)), told

    def _count(self, receipt: Receipt, told: Told) -> None:
        self._tell(told)
        self._add(receipt, told, 1)

    def _discount(self, receipt: Receipt) -> None:
        self._add(receipt, _told(receipt.pieces), -1)

    def _add(self, receipt: Receipt, told: Told, sign: int) -> None:
        progress, sizes = self.progress, self.opened.layout.manifest.sizes
        if self._way(receipt.part) == "copied":
            progress.copied_bytes += sign * receipt.size
        else:
            progress.built_bytes += sign * receipt.size
        progress.entries += sign * sum(span.stop == sizes[span.entry] for span, _ in told)

    def _tell(self, told: Told) -> None:
        """Learn the CRCs of entries of which all pieces are known, and compare them with what was known before."""
        for span, crc in told:
            try:
                whole = self._pieces.add(span, crc)
            except PieceMismatch as error:
                raise ContentMismatch(str(error)) from error
            if whole is not None:
                self.opened.crcs.learn(span.entry, whole)

    def _way(self, number: int) -> str:
        return "copied" if self.parts[number - 1].kind is Kind.COPIED else "built"

    def _is_whole(self, span: Span) -> bool:
        return span.stop - span.start == self.opened.layout.manifest.sizes[span.entry]


class CopyRefused(Exception):
    """S3 does not copy from a bucket after all: the archive has to be cut into parts without that."""

    def __init__(self, bucket: str, error: BucketzipError) -> None:
        super().__init__(str(error))
        self.bucket = bucket


def _packed(told: Told) -> bytes:
    return b"".join(_PIECE.pack(*span, crc) for span, crc in told)


def _told(pieces: bytes) -> Told:
    return [(Span(*piece), crc) for *piece, crc in _PIECE.iter_unpack(pieces)]
