"""Finds the requests in flight that are late (`hedging.py` says what that is), a few dozen times a second."""

import asyncio
from collections.abc import Callable, Mapping
from math import inf

from bucketzip.s3.hedging import Allowance, Usual
from bucketzip.s3.rangeget import RangeConnection
from bucketzip.s3.read import Read

LOOK_SECONDS = 0.025
LEAST_SECONDS = 0.05
"""A request younger than this is never late."""
UNKNOWN_SECONDS = 2.0
"""AWS's advice for small objects, until it is known what is usual here."""
PACE_SECONDS = 0.5
"""Over so long the pace of a body is measured: longer than TCP takes to send a lost packet again."""
LEAST_PACE = 0.25
"""Seconds a MiB: at 4 MiB/s and more, no body crawls."""
MIB = 1 << 20


class Stragglers:
    """Looks while requests are in flight, and tells `late` of those that are. With a `share` of 0 nobody ever is."""

    def __init__(self, share: float, in_flight: Mapping[RangeConnection, Read], late: Callable[[Read], None]) -> None:
        self.allowance = Allowance(share)
        self._active = share > 0
        self._in_flight = in_flight
        self._late = late
        self._small_seconds = Usual(factor=2, least=LEAST_SECONDS, unknown=UNKNOWN_SECONDS)
        self._first_byte_seconds = Usual(factor=2, least=LEAST_SECONDS, unknown=UNKNOWN_SECONDS)
        self._pace = Usual(factor=4, least=LEAST_PACE, unknown=inf)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def sent(self) -> None:
        """A request is in flight."""
        if self._timer is None and self._active:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)

    def begun(self, read: Read) -> None:
        """The first byte of its large body has come."""
        read.begun_at = read.seen_at = self._loop.time()
        read.seen_bytes = read.received
        self._first_byte_seconds.add(read.begun_at - read.began)

    def ended(self, read: Read, now: float) -> None:
        """It is complete."""
        self.allowance.earn()
        if not read.begun_at:
            self._small_seconds.add(now - read.began)
        elif read.fetch.received - read.received >= MIB:
            self._pace.add((now - read.begun_at) * MIB / (read.fetch.received - read.received))

    def close(self) -> None:
        """Look no more."""
        self._active = False
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        assert self._timer is not None
        now = self._loop.time()
        # When this comes late, so do the bytes that have come: then it is this process that is slow.
        on_time = now - self._timer.when() < LOOK_SECONDS
        self._timer = None
        if not self._in_flight:
            return
        self.sent()
        if on_time:
            for read in self._find(now):
                self._late(read)

    def _find(self, now: float) -> list[Read]:
        found = []
        small = first_byte = pace = 0.0  # what is late, computed only if there is one that might be
        for read in self._in_flight.values():
            if now - read.began < LEAST_SECONDS:
                break  # all behind it were sent later
            if read.begun_at:
                pace = pace or self._pace.late
                late = self._crawls(read, now, pace)
            elif read.hedged:
                continue
            elif read.fetch.small:
                small = small or self._small_seconds.late
                late = now - read.began > small
            else:
                first_byte = first_byte or self._first_byte_seconds.late
                late = now - read.began > first_byte
            if late:
                found.append(read)
        return found

    def _crawls(self, read: Read, now: float, pace: float) -> bool:
        """Whether the body's pace of late is one that will keep us waiting."""
        seconds = now - read.seen_at
        if seconds < PACE_SECONDS:
            return False
        count = read.fetch.received - read.seen_bytes
        read.seen_at, read.seen_bytes = now, read.fetch.received
        missing = read.fetch.length - read.fetch.received
        return pace < inf and seconds * MIB > pace * count and seconds * missing > PACE_SECONDS * count
