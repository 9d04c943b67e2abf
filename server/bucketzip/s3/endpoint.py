"""One address of requests: its connections, the reads that wait for one, and whose turn it is. No I/O."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bucketzip.s3.concurrency import Concurrency
from bucketzip.s3.rangeget import RangeConnection
from bucketzip.s3.signing import Route


@dataclass(eq=False)
class Waiter:
    """A read, as the pool sees it, or a hedge: the second request for bytes of a read that is late."""

    goes_first: bool
    hedge: bool = False
    number: int = 0
    endpoint: "Endpoint[Any] | None" = None
    """Where it waits, if it does."""


W = TypeVar("W", bound=Waiter)


@dataclass(eq=False)
class Endpoint(Generic[W]):
    """Reads that somebody waits for, or that have begun, go first; hedges are extra."""

    route: Route
    concurrency: Concurrency
    idle: list[RangeConnection] = field(default_factory=list)
    held: int = 0
    """Connections, open or being opened."""
    opening: int = 0
    _first: deque[W] = field(default_factory=deque)
    _others: deque[W] = field(default_factory=deque)
    _hedges: deque[W] = field(default_factory=deque)

    @property
    def waiting(self) -> int:
        """Reads that wait for a connection."""
        return len(self._first) + len(self._others)

    @property
    def somebody_waits(self) -> bool:
        """Reads or hedges."""
        return bool(self._first or self._others or self._hedges)

    @property
    def room(self) -> int:
        """Requests that may be sent now, beside those in flight; negative where the limit was lowered."""
        return self.concurrency.limit - (self.held - self.opening - len(self.idle))

    @property
    def surplus(self) -> bool:
        """Whether some of the idle connections could not be used now, whoever came."""
        return len(self.idle) > self.room

    @property
    def wanted(self) -> int:
        """Connections that those who wait would get if there were any number."""
        hedges = 0 if self.concurrency.lowered else len(self._hedges)
        return min(self.waiting + hedges, self.room)

    @property
    def short(self) -> bool:
        """Whether a read would get a connection if there was one more than are being opened."""
        return min(self.waiting, self.room) > self.opening

    @property
    def turn(self) -> tuple[bool, int]:
        """What its next read shows where it competes with those of other endpoints: less goes first."""
        return (not self._first, (self._first or self._others)[0].number)

    def put(self, waiter: W) -> None:
        """Have it wait."""
        waiter.endpoint = self
        if waiter.hedge and waiter.goes_first:
            self._hedges.appendleft(waiter)
        else:
            self._queue_of(waiter).append(waiter)

    def take(self) -> W | None:
        """Whose turn it is, if anybody's. A hedge has none while a read waits, but for one that goes first."""
        hedges = self._hedges
        if hedges and not self.concurrency.lowered and (hedges[0].goes_first or not self.waiting):
            queue = hedges
        else:
            queue = self._first or self._others
        if not queue:
            return None
        waiter = queue.popleft()
        waiter.endpoint = None
        return waiter

    def forget(self, waiter: W) -> None:
        """Have it wait no more."""
        self._queue_of(waiter).remove(waiter)
        waiter.endpoint = None

    def _queue_of(self, waiter: W) -> deque[W]:
        if waiter.hedge:
            return self._hedges
        return self._first if waiter.goes_first else self._others
