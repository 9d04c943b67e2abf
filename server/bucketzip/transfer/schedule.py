"""What to read next and what may go out now: a pure function of its state, without an event loop.

The queue holds the archive's segments in order, from the one going out to the last one looked at. Content is asked
for in ranges, across entries as well as inside one. An entry whose header waits for its CRC is *held*: read whole
before anything of it goes out. Where memory for that is not to be had, the pump reads it once for the CRC alone
(`blocked`), and then it goes out like any other.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bucketzip.archive.crc import crc32
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import Source
from bucketzip.archive.segments import Literal, Pending, Record, Segment, Span
from bucketzip.transfer.blocks import SMALL_BLOCK_BYTES, cost, memory
from bucketzip.transfer.crcs import Crcs
from bucketzip.transfer.fetch import Fetch, Piece

LOOK_AHEAD_SEGMENTS = 4096
"""How many segments are looked at beyond the one going out: enough for a thousand entries in flight, small to hold."""

NewFetch = Callable[[Source, int, int, int, bool], Fetch]
"""Makes a fetch of (source, start, stop, size of the object, urgent)."""


class Body:
    """A span in the queue: how far it was asked for, and how far it went out."""

    __slots__ = ("asked", "crc", "entry", "fetches", "held", "sent", "size", "source", "start", "step", "stop", "told")

    def __init__(self, span: Span, source: Source, size: int, *, held: bool) -> None:
        self.entry, self.start, self.stop = span
        self.source = source
        self.size = size
        self.held = held
        self.asked = self.start
        self.step = 0
        """The length of ranges that memory was reserved for, where the body is held."""
        self.sent = self.start
        self.fetches: deque[Fetch] = deque()
        self.crc = 0
        self.told = False
        """Whether its CRC was computed before it went out."""

    @property
    def whole(self) -> bool:
        """Whether all of the entry passes here, so that its CRC can be told."""
        return self.start == 0 and self.stop == self.size

    def arrived(self) -> bool:
        """Whether all of it is here."""
        return self.asked == self.stop and all(fetch.complete for fetch in self.fetches)


class Blocked(NamedTuple):
    """What goes out next waits for the CRC of an entry, and nothing is being read that would tell it."""

    entry: int
    own: bool
    """Whether that entry's content comes next: only the memory to hold it is missing."""


class Schedule:
    """The state of sending some segments of one archive."""

    def __init__(self, layout: Layout, crcs: Crcs, segments: Iterator[Segment]) -> None:
        self._layout = layout
        self._crcs = crcs
        self._segments: Iterator[Segment] | None = segments
        self._queue: deque[bytes | Pending | Body] = deque()
        self._unasked: deque[Body] = deque()
        self.content_went_out = False
        """Whether any of an object's bytes did: until then a change of it can still be told."""

    @property
    def finished(self) -> bool:
        """Whether everything went out."""
        return not self._queue and self._segments is None

    def next_read(self, range_bytes: int, reserve: Callable[[int], bool], new_fetch: NewFetch) -> Fetch | None:
        """The next range to ask for, its memory reserved; None when there is nothing to ask for or no memory.

        Ranges are of `range_bytes`; for what goes out next, a small block's worth will do when there is no memory for
        more.
        """
        body = self._next_unasked()
        if body is None:
            return None
        urgent = self._at_head(body)
        if body.held and body.asked == body.start and self._crcs.get(body.entry) is not None:
            body.held = False  # it was learned elsewhere meanwhile
        if body.held:
            if body.asked == body.start:
                if not reserve(self._memory(body.start, body.stop, range_bytes)):
                    return None
                body.step = range_bytes
            length = min(body.step, body.stop - body.asked)
        else:
            length = min(range_bytes, body.stop - body.asked)
            if not reserve(cost(length)):
                length = min(length, SMALL_BLOCK_BYTES)
                if not urgent or body.fetches or not reserve(cost(length)):
                    return None
        fetch = new_fetch(body.source, body.asked, body.asked + length, body.size, urgent)
        body.fetches.append(fetch)
        body.asked += length
        if body.asked == body.stop:
            self._unasked.popleft()
        return fetch

    def take(self, out: list[Piece], most_bytes: int) -> int:
        """Move what may go out now into `out`, in order, up to about `most_bytes`; one piece at least, if there is one.

        Returns the reserved memory under the pieces, in bytes. Raises ContentMismatch with the pieces already in
        `out`, which the caller owns.
        """
        before = len(out)
        literals = 0
        room = most_bytes
        queue = self._queue
        while room > 0:
            if not queue and not self._look_ahead():
                break
            item = queue[0]
            if isinstance(item, Body):
                count = self._take_content(item, out, room)
                room -= count
                if item.sent == item.stop:
                    queue.popleft()
                    if item.whole and not item.told:
                        self._crcs.learn(item.entry, item.crc)
                elif not count:
                    break
                continue
            if isinstance(item, Pending):
                crc = self._crcs.get(item.entry)
                if crc is None:
                    crc = self._hold(item)
                    if crc is None:
                        break
                item = self._layout.encode(item, crc)
            out.append(item)
            room -= len(item)
            literals += len(item)
            queue.popleft()
        return sum(map(memory, out[before:])) - literals

    def blocked(self) -> Blocked | None:
        """What has to be learned before anything can go out, if that is so."""
        if not self._queue or not isinstance(pending := self._queue[0], Pending):
            return None
        if self._crcs.get(pending.entry) is not None:
            return None
        body = self._body_behind(pending)
        return Blocked(pending.entry, own=body is not None) if body is None or not body.fetches else None

    def source(self, entry: int) -> tuple[Source, int]:
        """What is read for an entry: its object, and the object's size."""
        source = self._layout.manifest.source(entry)
        assert not isinstance(source, bytes)
        return source, self._layout.manifest.sizes[entry]

    def learn(self, entry: int, crc: int) -> None:
        """The CRC of an entry is known now, from a reading of its own."""
        self._crcs.learn(entry, crc)

    def shed(self, keep_bytes: int) -> Iterator[tuple[Fetch, int]]:
        """Forget ranges from the far end of the queue until `keep_bytes` are left; yields (range, memory set free).

        They are asked for again later. What goes out next is never among them. A held body goes whole or not at all, as
        its memory was reserved.
        """
        bodies = [item for item in self._queue if isinstance(item, Body) and item.fetches]
        held_bytes = sum(cost(fetch.length) for body in bodies for fetch in body.fetches)
        for body in reversed(bodies):
            if held_bytes <= keep_bytes:
                return
            at_head = self._at_head(body)
            if body.held and at_head:
                return
            # Of a held body memory is reserved for all of it, for what was not asked for yet too.
            unasked_bytes = self._memory(body.asked, body.stop, body.step) if body.held else 0
            while len(body.fetches) > at_head and (held_bytes > keep_bytes or body.held):
                if body.asked == body.stop:
                    self._unasked.appendleft(body)
                fetch = body.fetches.pop()
                body.asked = fetch.start
                held_bytes -= cost(fetch.length)
                yield fetch, cost(fetch.length) + unasked_bytes
                unasked_bytes = 0

    def fetches(self) -> Iterator[Fetch]:
        """All that is in flight or waits to go out."""
        for item in self._queue:
            if isinstance(item, Body):
                yield from item.fetches

    def _next_unasked(self) -> Body | None:
        while not self._unasked:
            if len(self._queue) >= LOOK_AHEAD_SEGMENTS or not self._look_ahead():
                return None
        return self._unasked[0]

    def _look_ahead(self) -> bool:
        """Put the next segment into the queue; False when there is none."""
        if self._segments is None:
            return False
        segment = next(self._segments, None)
        if segment is None:
            self._segments = None
        elif isinstance(segment, Pending):
            self._queue.append(segment)
        elif isinstance(segment, Literal):
            self._queue.append(segment.data)
        else:
            source, size = self.source(segment.entry)
            body = Body(segment, source, size, held=self._must_be_held(segment, size))
            self._queue.append(body)
            self._unasked.append(body)
        return segment is not None

    def _must_be_held(self, span: Span, size: int) -> bool:
        """Whether the record in front of the span is its header, waits for its CRC, and the span can tell it."""
        before = self._queue[-1] if self._queue else None
        return (
            isinstance(before, Pending)
            and before.record is Record.HEADER
            and before.entry == span.entry
            and span.stop == size
            and self._crcs.get(span.entry) is None
        )

    def _at_head(self, body: Body) -> bool:
        """Whether nothing is in front of the body but its own header."""
        first = self._queue[0]
        return first is body or (isinstance(first, Pending) and len(self._queue) > 1 and self._queue[1] is body)

    def _body_behind(self, pending: Pending) -> Body | None:
        """The held body behind the header that heads the queue, if that is what it waits for."""
        if len(self._queue) < 2 and not self._look_ahead():  # noqa: PLR2004  -- the header and what follows it
            return None
        body = self._queue[1]
        return body if isinstance(body, Body) and body.entry == pending.entry and body.held else None

    def _hold(self, pending: Pending) -> int | None:
        """The CRC that a header waits for, once its entry is here whole."""
        body = self._body_behind(pending)
        if body is None or not body.arrived():
            return None
        crc = 0
        for fetch in body.fetches:
            for piece in fetch.pieces:
                crc = crc32(piece, crc)
        self._crcs.learn(body.entry, crc)
        body.told = True
        return crc

    def _take_content(self, body: Body, out: list[Piece], room: int) -> int:
        count = 0
        while body.fetches and count < room:
            fetch = body.fetches[0]
            while fetch.pieces and count < room:
                piece = fetch.pieces.popleft()
                if body.whole and not body.told:
                    body.crc = crc32(piece, body.crc)
                out.append(piece)
                count += len(piece)
            if fetch.pieces or not fetch.complete:
                break
            body.fetches.popleft()
        body.sent += count
        self.content_went_out = self.content_went_out or count > 0
        return count

    @staticmethod
    def _memory(start: int, stop: int, range_bytes: int) -> int:
        return sum(cost(min(range_bytes, stop - each)) for each in range(start, stop, range_bytes))
