"""CRC-32s that S3 computes: objects are copied into a scratch upload, and each copy's answer tells its CRC.

Large objects go in several ranges side by side. No zero bytes, and no range that is the whole object: the first has a
known CRC, the second is refused by AWS for small sources.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from bucketzip.archive.crc import crc32_combine
from bucketzip.archive.manifest import Source
from bucketzip.errors import BucketzipError
from bucketzip.s3.probe import Prober
from bucketzip.s3.scratch import MOST_PARTS, Scratch, Upload

_log = logging.getLogger(__name__)

COPIES_AT_ONCE = 16
"""1-3 ms a small object (measured on loopback); S3 takes more, but planning is not all that it is asked for."""
PIECE_BYTES = 256 << 20
"""An answer comes when the copy is made, and S3 copies some 100 MB/s or more: well within a request's time limit."""


QUICK_BYTES_A_SECOND = 250e6
"""Some stores copy more slowly than they are read (measured: 50 to 200 MB/s where reading gives 400)."""
SEEN_BYTES = 64 << 20
"""Less shows nothing."""


class _Piece(NamedTuple):
    number: int
    """Which object."""
    start: int
    stop: int


class CopiedCrcs:
    """Implements `transfer.ports.RemoteCrcs`."""

    def __init__(self, scratch: Scratch, prober: Prober) -> None:
        self._scratch = scratch
        self._prober = prober
        self._turns = asyncio.Semaphore(COPIES_AT_ONCE)
        self._copied_bytes = 0
        self._seconds = 0.0

    @property
    def quick(self) -> bool:
        """By what was copied so far."""
        return self._copied_bytes < SEEN_BYTES or self._copied_bytes > self._seconds * QUICK_BYTES_A_SECOND

    async def proven(self, sample: Source, size: int) -> bool:
        """By the prober."""
        return (await self._prober.verdict(sample, size)).proven

    async def compute(self, objects: Sequence[tuple[Source, int]]) -> list[int | None]:
        """The CRC of each (object, size) of one bucket; None where S3 would not copy it."""
        told: dict[_Piece, int | None] = {}
        pieces = _pieces(objects)
        began = time.monotonic()
        while batch := list(islice(pieces, MOST_PARTS)):
            try:
                await self._copy(objects, batch, told)
            except BucketzipError as error:  # no upload: what there is of an answer will do
                _log.info("no CRCs by copies inside S3: %s", error)
                break
        self._seconds += time.monotonic() - began
        self._copied_bytes += sum(piece.stop - piece.start for piece, crc in told.items() if crc is not None)
        return [_joined(told, list(_pieces_of(number, size))) for number, (_, size) in enumerate(objects)]

    async def _copy(
        self, objects: Sequence[tuple[Source, int]], pieces: Sequence[_Piece], told: dict[_Piece, int | None]
    ) -> None:
        async def one(upload: Upload, part_number: int, piece: _Piece) -> None:
            source, size = objects[piece.number]
            whole = piece.stop - piece.start == size
            async with self._turns:
                try:
                    told[piece] = await upload.copy(part_number, source, None if whole else piece[1:])
                except BucketzipError as error:  # changed, denied: the download will say so where it matters
                    _log.debug("no CRC by a copy: %s", error)

        async with self._scratch.upload(objects[0][0].bucket) as upload, asyncio.TaskGroup() as group:
            for part_number, piece in enumerate(pieces, 1):
                group.create_task(one(upload, part_number, piece))


def _pieces(objects: Sequence[tuple[Source, int]]) -> Iterator[_Piece]:
    for number, (_, size) in enumerate(objects):
        yield from _pieces_of(number, size)


def _pieces_of(number: int, size: int) -> Iterator[_Piece]:
    """Pieces of nearly the same length, so that none is too small to be copied."""
    count = -(-size // PIECE_BYTES)
    for piece in range(count):
        yield _Piece(number, size * piece // count, size * (piece + 1) // count)


def _joined(told: dict[_Piece, int | None], pieces: Sequence[_Piece]) -> int | None:
    crc = 0
    for piece in pieces:
        part = told.get(piece)
        if part is None:
            return None
        crc = crc32_combine(crc, part, piece.stop - piece.start)
    return crc
