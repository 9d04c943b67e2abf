"""One ranged read in flight: what is asked for, and what has come of it, in order.

The reader (`s3/`) fills it, the pump empties it. The block being filled belongs to the fetch and not to a connection,
so a read that goes on over another connection goes on in the same block.
"""

from collections import deque
from collections.abc import Callable

from bucketzip.archive.manifest import Source
from bucketzip.transfer.blocks import SMALL_BODY_BYTES, BlockPool

Piece = bytes | memoryview


class Fetch:
    """Bytes `[start, stop)` of an object of `size` bytes. `on_change` is called when pieces or an error have come."""

    __slots__ = (
        "_block",
        "_filled",
        "_pool",
        "error",
        "on_change",
        "pieces",
        "received",
        "size",
        "source",
        "start",
        "stop",
        "urgent",
    )

    def __init__(
        self,
        source: Source,
        start: int,
        stop: int,
        *,
        size: int,
        pool: BlockPool,
        on_change: Callable[["Fetch"], None],
        urgent: bool = False,
    ) -> None:
        self.source = source
        self.start = start
        self.stop = stop
        self.size = size
        self.urgent = urgent
        """Somebody waits for the first byte of this one: it goes before all that is read ahead."""
        self.on_change = on_change
        self.pieces: deque[Piece] = deque()
        self.received = 0
        """Bytes that have come, whether still in `pieces` or not."""
        self.error: Exception | None = None
        self._pool = pool
        self._block: memoryview | None = None
        self._filled = 0

    @property
    def length(self) -> int:
        """Bytes asked for."""
        return self.stop - self.start

    @property
    def complete(self) -> bool:
        """Whether every byte has come."""
        return self.received == self.stop - self.start

    @property
    def small(self) -> bool:
        """Whether the body comes as one `bytes` by `deliver`, instead of by `room` and `filled`."""
        return self.stop - self.start <= SMALL_BODY_BYTES

    def deliver(self, body: bytes) -> None:
        """Take the whole body of a small read."""
        self.pieces.append(body)
        self.received = len(body)
        self.on_change(self)

    def room(self) -> memoryview:
        """Where the next bytes go: never empty while bytes are missing, never longer than they are."""
        missing = self.stop - self.start - self.received
        if self._block is None:
            self._block, self._filled = memoryview(self._pool.take(missing)), 0
        return self._block[self._filled : self._filled + missing]

    def filled(self, count: int) -> None:
        """The first `count` bytes of `room()` are there."""
        assert self._block is not None
        self._filled += count
        self.received += count
        if self._filled == len(self._block) or self.complete:
            self.pieces.append(self._block[: self._filled])
            self._block = None
            self.on_change(self)

    def fail(self, error: Exception) -> None:
        """The read came to its end without all its bytes."""
        self.error = error
        self.on_change(self)

    def drop(self) -> None:
        """Give all memory back; for a fetch that nobody reads into any more."""
        if self._block is not None:
            self._pool.give_back(self._block)
            self._block = None
        while self.pieces:
            self._pool.give_back(self.pieces.popleft())
