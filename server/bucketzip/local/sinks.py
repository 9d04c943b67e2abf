"""Where an archive's bytes go on this machine. Both implement `transfer.ports.Sink`."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence

from bucketzip.archive.crc import crc32
from bucketzip.local.part_file import PartFile
from bucketzip.transfer.crcs import Crcs
from bucketzip.transfer.fetch import Piece

SMALL_BYTES = 64 << 10
"""Pieces up to this are joined, so that a system call carries more than one of them."""

Written = Callable[[int], None]
"""Is told how far the archive is, in bytes."""


class Rest:
    """Tells the CRC of an entry of which the first bytes were there already, once the others have come."""

    def __init__(self, crcs: Crcs, entry: int, crc: int, missing_bytes: int) -> None:
        self._crcs = crcs
        self._entry = entry
        self._crc = crc
        self._missing_bytes = missing_bytes

    def take(self, piece: Piece) -> None:
        """Note what comes next; raises ContentMismatch where another CRC was known of the entry."""
        if self._missing_bytes:
            ours = memoryview(piece)[: self._missing_bytes]
            self._crc = crc32(ours, self._crc)
            self._missing_bytes -= len(ours)
            if not self._missing_bytes:
                self._crcs.learn(self._entry, self._crc)


class FileSink:
    """Writes in a thread: a disk that is busy holds up nothing else."""

    def __init__(self, part: PartFile, rest: Rest | None, written: Written) -> None:
        self._part = part
        self._rest = rest
        self._written = written

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Raises CannotSave, and ContentMismatch."""
        if self._rest is not None:
            for piece in pieces:
                self._rest.take(piece)
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, pieces))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])  # it reads memory that is used again
            raise
        self._written(self._part.length)

    def _write(self, pieces: Sequence[Piece]) -> None:
        for piece in _joined(pieces):
            self._part.write(piece)

    def unsent_bytes(self) -> int:
        """A disk needs no patience."""
        return 0

    def abort(self) -> None:
        """What is there can be gone on with."""


class PipeSink:
    """Writes to a descriptor that may make us wait: a pipe, or whatever standard output is."""

    def __init__(self, descriptor: int, written: Written) -> None:
        self._descriptor = descriptor
        self._written = written
        self.length = 0

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Raises BrokenPipeError where nobody reads any more."""
        for piece in _joined(pieces):
            view = memoryview(piece)
            while view:
                try:
                    count = os.write(self._descriptor, view)
                except BlockingIOError:
                    await self._writable()
                else:
                    view = view[count:]
                    self.length += count
            await asyncio.sleep(0)
        self._written(self.length)

    def unsent_bytes(self) -> int:
        """Who reads may take a break."""
        return 0

    def abort(self) -> None:
        """It ends with this process."""

    async def _writable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self._descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._descriptor)


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    small: list[Piece] = []
    for piece in pieces:
        if len(piece) <= SMALL_BYTES:
            small.append(piece)
            continue
        if small:
            yield b"".join(small)
            small.clear()
        yield piece
    if small:
        yield b"".join(small)
