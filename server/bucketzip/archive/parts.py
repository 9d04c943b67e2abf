"""Layout -> the parts of a multipart upload: bodies that S3 copies itself, and what is built here.

A body is copied where at least 5 MiB lie between it and what was copied before: those (the *gap*: headers, small
entries) are built. Where they are fewer, the first bytes of the body fill up, if 5 MiB of it are left to copy.

Parts decide no byte, they are cuts of one layout. So whatever may not be copied can be built. The body of a large entry
then has parts of its own too, so that its header, which waits for its CRC, waits for parts that wait for nothing.
"""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

from bucketzip.archive.layout import Layout
from bucketzip.archive.limits import AWS, Limits
from bucketzip.archive.manifest import READ_AHEAD_BYTES
from bucketzip.archive.segments import Span

_TURN = 1 << 32
_GOLDEN = 0x9E37_79B1  # of a turn, and odd: as many different places


class ArchiveTooLarge(ValueError):
    """An upload cannot hold the archive."""


class Kind(IntEnum):
    """How a part is made. By kind, and then as they are numbered, none waits for a later one."""

    COPIED = 0
    """By S3: bytes of one entry."""
    CONTENT = 1
    """Built, of bytes of one entry."""
    MIXED = 2
    """Built, of records and content. The header of a large entry waits for the parts with most of it, and for its first
    bytes here: less than the least of a part.
    """
    DIRECTORY = 3
    """Built, with records of the central directory: they wait for every CRC."""


class Part(NamedTuple):
    """Bytes `[start, stop)` of the archive. `Layout.told_elsewhere` names the entries whose CRCs it waits for.

    Where parts are too few, some large entries lie in MIXED parts, and may be cut by their ends. No other part tells
    such a CRC in time: it is read beforehand, or known already.
    """

    kind: Kind
    start: int
    stop: int
    content: Span | None = None
    """What it is of an entry, if COPIED or CONTENT. S3 takes no range of an object that is copied whole."""

    @property
    def length(self) -> int:
        """Bytes of the part."""
        return self.stop - self.start


def plan_parts(layout: Layout, *, may_copy: Callable[[int], bool], limits: Limits = AWS) -> list[Part]:
    """The parts of an archive, in order; they are numbered from 1. Raises ArchiveTooLarge.

    `may_copy` tells of an entry's number whether S3 may copy from its object.
    """
    if layout.size > limits.most_archive_bytes:
        raise ArchiveTooLarge(
            f"the archive would have {layout.size:,} bytes, and an upload holds {limits.most_archive_bytes:,}:"
            f" {limits.most_parts:,} parts of {limits.most_bytes:,}"
        )
    return _Planner(layout, may_copy, limits).parts()


def largest(entries: Sequence[int], sizes: Sequence[int], most: int) -> list[int]:
    """Up to `most` of the entries, largest first.

    Equals come in an order (that of multiples of the golden ratio) of which any beginning is spread evenly, so that
    what is left between them is too.
    """
    ranks = heapq.nsmallest(most, range(len(entries)), lambda rank: (-sizes[entries[rank]], rank * _GOLDEN % _TURN))
    return [entries[rank] for rank in ranks]


def bytes_through_host(parts: Iterable[Part]) -> int:
    """What is built: all but what S3 copies, records included."""
    return sum(part.length for part in parts if part.kind is not Kind.COPIED)


class Requests(NamedTuple):
    """What parts cost, beside the two requests that create and complete the upload."""

    copies: int
    uploads: int
    reads: int
    """GETs of up to `READ_AHEAD_BYTES`; there are a few more where the end of a part cuts an entry."""


def requests(layout: Layout, parts: Sequence[Part]) -> Requests:
    """Count the requests, for an estimate of their price."""
    copied_bytes: dict[int, int] = {}
    copies = 0
    for part in parts:
        if part.kind is Kind.COPIED and part.content is not None:
            copies += 1
            copied_bytes[part.content.entry] = copied_bytes.get(part.content.entry, 0) + part.length
    sizes = layout.manifest.sizes
    reads = sum(map(_reads, sizes))
    reads -= sum(_reads(sizes[entry]) - _reads(sizes[entry] - copied) for entry, copied in copied_bytes.items())
    return Requests(copies, len(parts) - copies, reads)


class _Body(NamedTuple):
    """The content of an entry that may get parts of its own."""

    start: int
    stop: int
    header_at: int
    entry: int
    may_copy: bool


class _Aims(NamedTuple):
    """The most bytes that parts have."""

    built_bytes: int
    """On average."""
    longest_bytes: int
    """A built one, so that it may end with an entry."""
    copied_bytes: int


class _Planner:
    """Finds the lengths of parts, and the bodies, with which the limits are kept."""

    def __init__(self, layout: Layout, may_copy: Callable[[int], bool], limits: Limits) -> None:
        self._layout = layout
        self._limits = limits
        self._may_copy = may_copy
        sizes = layout.manifest.sizes
        large = [entry for entry in layout.manifest.entries_from(0) if sizes[entry] >= limits.least_bytes]
        self._ranked = [
            _Body(*layout.content(entry), layout.manifest.positions[entry], entry, may_copy(entry))
            for entry in largest(list(filter(self._may_have_parts, large)), sizes, limits.most_copied)
        ]

    def parts(self) -> list[Part]:
        """All that may be copied, if there are parts enough, and then the shortest parts of which there are enough.

        Then the directory, which waits for all the rest, in a part of its own, if it is not in the only one.
        """
        limits = self._limits
        scales = range(1, -(-limits.most_bytes // limits.built_bytes) + 1)
        # With no body and the longest parts it fits, or the archive would be too large.
        bodies = bisect_left(range(len(self._ranked) + 1), 1, key=lambda count: not self._fits(count, scales[-1])) - 1
        scale = scales[bisect_left(scales, 1, key=lambda scale: self._fits(bodies, scale))]
        aims = self._aims(scale)
        together = list(self._divide(bodies, aims, self._layout.size))
        if len(together) == 1:
            return together
        apart = list(self._divide(bodies, aims, self._layout.manifest.content_bytes))
        return apart if len(apart) <= limits.most_parts else together

    def _may_have_parts(self, entry: int) -> bool:
        manifest = self._layout.manifest
        large = manifest.sizes[entry] > self._limits.built_bytes
        return manifest.inline(entry) is None and (large or self._may_copy(entry))

    def _aims(self, scale: int) -> _Aims:
        limits = self._limits
        built_bytes = min(scale * limits.built_bytes, limits.most_bytes)
        longest_bytes = min(2 * built_bytes, limits.most_bytes)
        return _Aims(built_bytes, longest_bytes, max(limits.copied_bytes, built_bytes))

    def _fits(self, bodies: int, scale: int) -> bool:
        aims = self._aims(scale)
        count = start = 0
        for gap_at, body_at, body in self._gaps(bodies, aims):
            count += -(-(body_at - gap_at) // aims.built_bytes) - (-(body.stop - body_at) // _aim(body, aims))
            start = body.stop
        return count - (-(self._layout.size - start) // aims.built_bytes) <= self._limits.most_parts

    def _gaps(self, bodies: int, aims: _Aims) -> Iterator[tuple[int, int, _Body]]:
        """The bodies with parts of their own: where the gap before starts, where it ends in the body, and the body."""
        least = self._limits.least_bytes
        start = 0
        for body in sorted(self._ranked[:bodies]):
            kept_whole = not body.may_copy and body.stop - body.header_at <= aims.longest_bytes - 2 * least
            if not kept_whole and body.stop - start >= 2 * least:
                yield start, max(body.start, start + least), body
                start = body.stop

    def _divide(self, bodies: int, aims: _Aims, cut_at: int) -> Iterator[Part]:
        """The parts; what is behind the last body is cut at `cut_at` in any case, if that leaves enough before it."""
        start = 0
        for gap_at, body_at, body in self._gaps(bodies, aims):
            yield from self._gap(gap_at, body_at, aims)
            count = -(-(body.stop - body_at) // _aim(body, aims))
            borders = (body_at + part * (body.stop - body_at) // count for part in range(count + 1))
            for start, stop in pairwise(borders):
                content = Span(body.entry, start - body.start, stop - body.start)
                yield Part(Kind.COPIED if body.may_copy else Kind.CONTENT, start, stop, content)
            start = body.stop
        if start + self._limits.least_bytes <= cut_at < self._layout.size:
            yield from self._gap(start, cut_at, aims)
            start = cut_at
        yield from self._gap(start, self._layout.size, aims)

    def _gap(self, start: int, stop: int, aims: _Aims) -> Iterator[Part]:
        directory_at = self._layout.manifest.content_bytes
        for low, high in pairwise([start, *self._borders(start, stop, aims), stop]):
            yield Part(Kind.DIRECTORY if high > directory_at else Kind.MIXED, low, high)

    def _borders(self, start: int, stop: int, aims: _Aims) -> Iterator[int]:
        """Cut a gap into parts of about the same length, between two entries where that is possible."""
        least, directory_at = self._limits.least_bytes, self._layout.manifest.content_bytes
        count = -(-(stop - start) // aims.built_bytes)
        while count > 1:
            even = start + (stop - start) // count
            lowest = max(start + least, stop - (count - 1) * aims.longest_bytes)
            border = self._end_of_entry(even, lowest, min(start + aims.longest_bytes, stop - least))
            if border is None and start < directory_at and stop - start <= aims.longest_bytes:
                return
            start = even if border is None else border
            yield start
            count = min(count - 1, -(-(stop - start) // aims.built_bytes))

    def _end_of_entry(self, near: int, lowest: int, highest: int) -> int | None:
        """The last end of an entry up to `near`, or else the first behind it, if within `[lowest, highest]`."""
        manifest = self._layout.manifest
        before = manifest.content_bytes
        if near < before:
            entries = manifest.entries_from(near)
            before = manifest.positions[entries[0]]
            if before < lowest:
                before = manifest.positions[entries[1]] if len(entries) > 1 else manifest.content_bytes
        return before if lowest <= before <= highest else None


def _aim(body: _Body, aims: _Aims) -> int:
    return aims.copied_bytes if body.may_copy else aims.built_bytes


def _reads(count: int) -> int:
    return -(-count // READ_AHEAD_BYTES)
