"""The CRC of an entry from those of its pieces, which parts tell in any order."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from bucketzip.archive.crc import crc32_combine
from bucketzip.archive.segments import Span


def joined(pieces: Iterable[tuple[int, int]]) -> int:
    """The CRC of all bytes, from (CRC, length in bytes) of each piece in order."""
    whole = 0
    for crc, length in pieces:
        whole = crc32_combine(whole, crc, length)
    return whole


class PieceMismatch(ValueError):
    """Pieces that are not of one content, or not pieces of one division of it."""


class Pieces:
    """The pieces of entries that are not complete. `sizes` are the entries' in bytes, by number."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._told: dict[int, dict[int, tuple[int, int]]] = {}
        self._missing_bytes: dict[int, int] = {}

    def __len__(self) -> int:
        """Entries of which some pieces were told, but not all."""
        return len(self._told)

    def add(self, piece: Span, crc: int) -> int | None:
        """Note the CRC of some bytes of an entry; returns that of the entry once all of it was told.

        Pieces may be told again until then. Raises PieceMismatch where one has another CRC or length than before, or
        overlaps others.
        """
        entry, start, stop = piece
        size, length = self._sizes[entry], stop - start
        if length == size:
            return crc
        told = self._told.setdefault(entry, {})
        if start not in told:
            told[start] = crc, length
            self._missing_bytes[entry] = self._missing_bytes.get(entry, size) - length
        elif told[start] != (crc, length):
            raise PieceMismatch(f"entry {entry}: {length:,} bytes at {start:,} have two CRCs or two lengths")
        if self._missing_bytes[entry] > 0:
            return None
        starts = sorted(told)
        if starts != [0, *accumulate(told[start][1] for start in starts[:-1])]:
            raise PieceMismatch(f"entry {entry}: pieces at {starts} overlap")
        del self._told[entry], self._missing_bytes[entry]
        return joined(told[start] for start in starts)
