"""A built part: some bytes of the archive, made in memory.

The content is read first, each span straight to its place. Then the CRCs are known, of whole entries and of pieces, and
the records around it are written. So a header may stand in front of content that tells its CRC, and nothing is read
twice.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bucketzip.archive.crc import crc32
from bucketzip.archive.layout import Layout
from bucketzip.archive.parts import Part
from bucketzip.archive.segments import Literal, Segment, Span
from bucketzip.transfer.crcs import Crcs
from bucketzip.transfer.fetch import Piece
from bucketzip.transfer.pump import Engine, Pump

TURN_SEGMENTS = 500

Told = list[tuple[Span, int]]
"""CRCs of pieces of entries."""


class _Place(NamedTuple):
    """Where a span goes in the part."""

    span: Span
    start: int
    stop: int
    whole: bool
    """Whether the span is all of its entry."""


async def read_content(engine: Engine, layout: Layout, crcs: Crcs, part: Part) -> tuple[bytearray, Told]:
    """The part with its content in place and its records missing, and the CRC of each span in it.

    Whole entries are compared with the CRC that was known of them; raises ContentMismatch.
    """
    body = bytearray(part.length)
    sink = _Placing(memoryview(body), _places(layout, part), crcs)
    content_ends = min(part.stop, layout.manifest.content_bytes)
    spans = (segment for segment in layout.cut(part.start, content_ends) if isinstance(segment, Span))
    with Pump(engine, layout, crcs, spans, _nobody_else) as pump:
        await pump.run(sink)
    return body, sink.told


async def write_records(layout: Layout, crcs: Crcs, part: Part, body: bytearray) -> None:
    """Write the records of the part; all CRCs that they tell are known by now."""
    at = 0
    for number, segment in enumerate(layout.cut(part.start, part.stop)):
        length = _length(segment)
        if not isinstance(segment, Span):
            body[at : at + length] = _record(layout, crcs, segment)
        at += length
        if number % TURN_SEGMENTS == 0:  # there may be some 100,000, and others want the loop too
            await asyncio.sleep(0)


def _record(layout: Layout, crcs: Crcs, segment: Segment) -> bytes:
    if isinstance(segment, Literal):
        return segment.data
    assert not isinstance(segment, Span)
    crc = crcs.get(segment.entry)
    assert crc is not None
    return layout.encode(segment, crc)


def _length(segment: Segment) -> int:
    return len(segment.data) if isinstance(segment, Literal) else segment.stop - segment.start


def _places(layout: Layout, part: Part) -> Iterator[_Place]:
    at = 0
    for segment in layout.cut(part.start, part.stop):
        length = _length(segment)
        if isinstance(segment, Span):
            yield _Place(segment, at, at + length, length == layout.manifest.sizes[segment.entry])
        at += length


async def _nobody_else(entry: int) -> None:
    raise AssertionError(f"no record is sent here, but entry {entry} is waited for")


class _Placing:
    """A sink that copies what comes to where it belongs, span after span."""

    def __init__(self, body: memoryview, places: Iterator[_Place], crcs: Crcs) -> None:
        self._body = body
        self._places = places
        self._crcs = crcs
        self._place: _Place | None = None
        self._at = 0
        self.told: Told = []

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Take the pieces; no piece is of two spans."""
        for piece in pieces:
            if self._place is None:
                self._place = next(self._places)
                self._at = self._place.start
            self._body[self._at : self._at + len(piece)] = piece
            self._at += len(piece)
            if self._at == self._place.stop:
                self.told.append((self._place.span, self._crc(self._place)))
                self._place = None

    def _crc(self, place: _Place) -> int:
        """That of a whole entry was computed, and learned, on the way here."""
        known = self._crcs.get(place.span.entry) if place.whole else None
        return crc32(self._body[place.start : place.stop]) if known is None else known

    def unsent_bytes(self) -> int:
        """Nothing ever waits here."""
        return 0

    def abort(self) -> None:
        """Nobody is there who could take what came for the whole."""
