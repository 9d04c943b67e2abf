"""How far the walk through a compressed archive is, and what the directory will tell of the entries behind it.

Between any two blocks this is all that the rest of the archive needs of what came before, so a walk that was broken off
can go on anywhere. A checkpoint is what changed since the one before: all of them, one after the other, are the whole.
"""

import struct
from array import array
from enum import IntEnum

_HEAD = struct.Struct("<IQBQQQII")


class Way(IntEnum):
    """What is done with the blocks of one entry."""

    STORE = 0
    WRAP = 1
    """Put into a deflate stream as it is."""
    DEFLATE = 2


class Form(IntEnum):
    """How an entry stands in the archive."""

    STORED = 0
    DEFLATED = 1
    OPEN = 2
    """Deflated, and a descriptor tells CRC and sizes."""


class Walked:
    """Of an archive of so many entries, 21 bytes each. What is told of an entry that is not written yet means nothing.

    `unpack` brings a new one to where the checkpoints were made.
    """

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._unpacked = 0
        """The entry that is open, or the next one: those before it are in checkpoints."""
        self.entry = 0
        """The one whose content comes next."""
        self.offset = 0
        """How much of its content was written: whole blocks."""
        self.way = Way.STORE
        """What is done with it, if any of it was."""
        self.content = 0
        """Bytes of all content that was written."""
        self.position = 0
        """Bytes of the archive."""
        self.directory_at = 0
        """Where the directory begins, once it has."""
        self.records = 0
        """Of the directory; one more stands for what closes the archive."""
        self.header_at = array("Q", bytes(8 * entries))
        self.packed = array("Q", bytes(8 * entries))
        """How many bytes each content became, so far."""
        self.crcs = array("I", bytes(4 * entries))
        """Of each content, so far."""
        self.forms = bytearray(entries)

    @property
    def complete(self) -> bool:
        """Whether the archive is."""
        return self.records > self._entries

    def count(self, form: Form) -> int:
        """Entries of a form, once all were written."""
        return self.forms.count(form)

    def checkpoint(self) -> bytes:
        """What changed since the last one."""
        first, stop = self._unpacked, min(self.entry + (self.offset > 0), self._entries)
        self._unpacked = self.entry
        return b"".join(
            (
                _HEAD.pack(*self._place(), stop - first),
                self.header_at[first:stop],
                self.packed[first:stop],
                self.crcs[first:stop],
                self.forms[first:stop],
            )
        )

    def unpack(self, checkpoint: bytes) -> None:
        """Take up a checkpoint that was made where this stands now. Raises ValueError where it was not."""
        first = self._unpacked
        *place, count = _HEAD.unpack_from(checkpoint)
        self.entry, self.offset, way, self.content, self.position, self.directory_at, self.records = place
        self.way = Way(way)
        stop, at = first + count, _HEAD.size
        if stop != min(self.entry + (self.offset > 0), self._entries) or len(checkpoint) != at + 21 * count:
            raise ValueError("this checkpoint does not follow on what is there")
        for column in (self.header_at, self.packed, self.crcs):
            length = count * column.itemsize
            column[first:stop] = array(column.typecode, checkpoint[at : at + length])
            at += length
        self.forms[first:stop] = checkpoint[at:]
        self._unpacked = self.entry

    def _place(self) -> tuple[int, ...]:
        return self.entry, self.offset, self.way, self.content, self.position, self.directory_at, self.records


def done(checkpoint: bytes) -> tuple[int, int]:
    """How many entries were written, and how many bytes of content."""
    entry, _, _, content, *_ = _HEAD.unpack_from(checkpoint)
    return entry, content
