"""What an archive is made of: a list of segments, each of known length before one byte of content is read."""

from enum import IntEnum
from typing import NamedTuple


class Record(IntEnum):
    """A record that tells a CRC."""

    HEADER = 0
    DESCRIPTOR = 1
    DIRECTORY = 2


class Literal(NamedTuple):
    """ZIP records, ready to go out."""

    data: bytes


class Span(NamedTuple):
    """Bytes `[start, stop)` of the content of an entry."""

    entry: int
    start: int
    stop: int


class Pending(NamedTuple):
    """Bytes `[start, stop)` of a record that waits for the CRC of its entry; `Layout.encode` makes them."""

    record: Record
    entry: int
    start: int
    stop: int


Segment = Literal | Span | Pending
