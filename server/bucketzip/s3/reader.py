"""The ranged reader: many reads over few connections, and none given up before it must be.

A read that breaks, stalls or comes short goes on from the byte reached, on another connection. What comes of a failure
is decided in `retry.py`, which read gets a connection in `pool.py`; here the two meet.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol

from bucketzip.errors import BucketzipError
from bucketzip.s3.client import S3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.head import Malformed
from bucketzip.s3.pool import ConnectionPool, Waiter
from bucketzip.s3.rangeget import RangeConnection, Refused, final_error
from bucketzip.s3.retry import Tries
from bucketzip.s3.signing import Credentials, Range, Route, signed_get
from bucketzip.s3.tasks import Tasks
from bucketzip.transfer.fetch import Fetch
from bucketzip.transfer.ports import Counter, Observer

_log = logging.getLogger(__name__)

WATCH_SECONDS = 1.0


class Labelled(Protocol):
    """A counter a label value."""

    def labels(self, value: str, /) -> Counter: ...


@dataclass(frozen=True)
class ReaderMetrics:
    """What the reader tells of itself."""

    seconds: Observer
    """From the request to the last byte."""
    outcomes: Labelled
    """Answered requests by outcome: ok, or our error's code."""
    retries: Labelled
    """By reason."""
    received_bytes: Counter


@dataclass(frozen=True)
class ReaderLimits:
    """How hard the reader tries."""

    connections: int = 64
    tries: int = 8
    stall_seconds: float = 10.0
    """A connection that brings no byte for so long is given up, and the read goes on over another."""


@dataclass(eq=False, kw_only=True)
class _Read(Waiter):
    """A fetch, and where it stands with us: waiting for a connection, on one, or between two tries."""

    fetch: Fetch
    tries: Tries
    route: Route | None = None
    keys: Credentials | None = None
    connection: RangeConnection | None = None
    timer: asyncio.TimerHandle | None = None
    began: float = 0.0
    received: int = 0
    over: bool = False


class S3RangeReader:
    """Implements `transfer.ports.RangeReader`."""

    def __init__(
        self, s3: S3, keeper: CredentialKeeper, metrics: ReaderMetrics, limits: ReaderLimits, tls: ssl.SSLContext
    ) -> None:
        self._s3 = s3
        self._keeper = keeper
        self._metrics = metrics
        self._ok = metrics.outcomes.labels("ok")
        self._limits = limits
        self._pool = ConnectionPool[_Read](
            limits.connections, tls, ready=self._send, failed=self._failed, done=self._done
        )
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._reads: dict[Fetch, _Read] = {}
        self._busy: dict[RangeConnection, _Read] = {}
        self._unrouted: dict[str, list[_Read]] = {}
        self._clock_offset_seconds = 0.0
        self._stamp: tuple[int, str] = (0, "")

    @asynccontextmanager
    async def running(self) -> AsyncIterator["S3RangeReader"]:
        """Watch over the connections; close them all at the end."""
        self._tasks.spawn(self._watch())
        try:
            yield self
        finally:
            for fetch in list(self._reads):
                self.cancel(fetch)
            await self._tasks.close()
            await self._pool.close()

    def start(self, fetch: Fetch) -> None:
        """Begin to fill the fetch."""
        read = _Read(goes_first=fetch.urgent, fetch=fetch, tries=Tries(self._limits.tries))
        self._reads[fetch] = read
        self._enqueue(read)

    def cancel(self, fetch: Fetch) -> None:
        """Stop at once; a request in flight ends with its connection."""
        read = self._reads.pop(fetch, None)
        if read is None:
            return
        read.over = True
        self._pool.forget(read)
        if read.timer is not None:
            read.timer.cancel()
        if read.connection is not None:
            del self._busy[read.connection]
            read.connection.close()

    @property
    def open_connections(self) -> int:
        """Connections to S3, idle or not."""
        return self._pool.open_connections

    @property
    def waiting(self) -> int:
        """Reads that wait for a connection."""
        return self._pool.waiting

    def _enqueue(self, read: _Read) -> None:
        if read.over:
            return
        read.route = self._s3.known_route(read.fetch.source.bucket)
        if read.route is None:
            self._await_route(read)
        else:
            self._pool.put(read, read.route)

    def _await_route(self, read: _Read, *, anew: bool = False) -> None:
        """One question a bucket, however many wait for the answer."""
        bucket = read.fetch.source.bucket
        if bucket not in self._unrouted:
            self._unrouted[bucket] = []
            self._tasks.spawn(self._find_route(bucket, anew=anew))
        self._unrouted[bucket].append(read)

    async def _find_route(self, bucket: str, *, anew: bool) -> None:
        problem: Exception | None = None
        try:
            await (self._s3.route_again(bucket) if anew else self._s3.route(bucket))
        except Exception as error:  # noqa: BLE001  -- whatever it is, those who wait must hear of it
            problem = error
        for read in self._unrouted.pop(bucket):
            if problem is None:
                self._enqueue(read)
            else:
                self._give_up(read, problem)

    def _send(self, read: _Read, connection: RangeConnection) -> None:
        fetch = read.fetch
        source = fetch.source
        assert read.route is not None
        try:
            read.keys = self._keeper.current()
        except BucketzipError as error:
            self._loop.call_soon(self._pool.free, connection)
            self._loop.call_soon(self._give_up, read, error)
            return
        wanted = Range(source.key, source.version_id, source.etag, fetch.start + fetch.received, fetch.stop)
        read.connection = connection
        read.began = self._loop.time()
        read.received = fetch.received
        read.goes_first = True  # if it comes to a second try
        self._busy[connection] = read
        connection.send(fetch, wanted, signed_get(read.route, wanted, read.keys, self._time_stamp()))

    def _time_stamp(self) -> str:
        now = int(time.time() + self._clock_offset_seconds)
        if self._stamp[0] != now:
            self._stamp = (now, datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ"))
        return self._stamp[1]

    def _done(self, connection: RangeConnection, error: Exception | None) -> None:
        """A request came to its end, well or not."""
        read = self._busy.pop(connection, None)
        if read is None:
            return  # cancelled while its last piece was handed over
        read.connection = None
        self._metrics.received_bytes.inc(read.fetch.received - read.received)
        if error is None:
            self._ok.inc()
            self._metrics.seconds.observe(self._loop.time() - read.began)
            del self._reads[read.fetch]
        else:
            self._metrics.outcomes.labels(_outcome(error)).inc()
            silent = connection.requests > 1 and not connection.got_bytes
            self._failed(read, error, reused_and_silent=silent)
        self._pool.free(connection)

    def _failed(self, read: _Read, error: Exception, *, reused_and_silent: bool = False) -> None:
        again = read.tries.failed(error, received=read.fetch.received, reused_and_silent=reused_and_silent)
        if again is None:
            self._give_up(read, error)
            return
        source = read.fetch.source
        self._metrics.retries.labels(again.reason).inc()
        _log.debug("read again: %s", error, extra={"reason": again.reason, "bucket": source.bucket, "key": source.key})
        if again.set_clock is not None:
            self._set_clock(again.set_clock)
        if again.renew_credentials:
            self._tasks.spawn(self._renew(read))
        elif again.find_region and self._s3.known_route(source.bucket) is read.route:
            self._await_route(read, anew=True)
        else:
            read.timer = self._loop.call_later(again.pause_seconds, self._enqueue, read)

    def _set_clock(self, now: float) -> None:
        offset_seconds = now - time.time()
        if abs(offset_seconds - self._clock_offset_seconds) > 1.0:  # once for all that were under way
            there = format_datetime(datetime.fromtimestamp(now, UTC))
            _log.warning("this machine's clock is wrong: S3 says %s; set it (chrony)", there)
        self._clock_offset_seconds = offset_seconds

    async def _renew(self, read: _Read) -> None:
        await self._keeper.renew(read.keys)
        self._enqueue(read)

    def _give_up(self, read: _Read, error: Exception) -> None:
        if read.over:
            return
        read.over = True
        del self._reads[read.fetch]
        source = read.fetch.source
        read.fetch.fail(final_error(error, f"s3://{source.bucket}/{source.key}"))

    async def _watch(self) -> None:
        """Once a second: give up connections that stall, close those that idle or are old."""
        stalled_since: dict[RangeConnection, float] = {}
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = self._loop.time()
            stalled_since = {
                each: stalled_since.get(each, now - WATCH_SECONDS) for each in self._busy if not each.moved
            }
            for connection in self._busy:
                connection.moved = False
            for connection, since in stalled_since.items():
                if now - since >= self._limits.stall_seconds and connection in self._busy:
                    connection.close()
                    self._done(connection, TimeoutError(f"no byte for {self._limits.stall_seconds:g} s"))
            self._pool.trim()


def _outcome(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.error.code
    if isinstance(error, Malformed):
        return "malformed"
    return "stall" if isinstance(error, TimeoutError) else "connection"
