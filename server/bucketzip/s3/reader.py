"""The ranged reader: many reads over few connections, and none given up before it must be.

A read that breaks, stalls or comes short goes on from the byte reached, on another connection. What comes of a failure
is decided in `retry.py`, which read gets a connection in `pool.py`, what is late in `hedging.py`; here they meet.

Stragglers come in two kinds, and neither costs memory beyond what the read has reserved:

1.  *Nothing has come yet.* The same bytes are asked for on a second connection (a hedge), and the two race: for a large
    body to its first byte, for a small one, which lands in a buffer of the connection, to its last. So only the winner
    ever writes into the fetch. The loser's connection is closed, not drained: it is under suspicion, and would keep a
    place that others can use. Both requests carry `If-Match`. An error of one leaves the read to the other.
2.  *The body crawls*, far below the pace of others. A race would need a second buffer; so the read moves to another
    connection at once, and goes on from the byte reached.

Both are paid from one allowance. A timer looks for stragglers while requests are in flight; a request has none.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bucketzip.errors import BucketzipError
from bucketzip.jobs.spending import counted_here
from bucketzip.s3.client import S3
from bucketzip.s3.clock import SigningClock
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.head import Malformed
from bucketzip.s3.pool import ConnectionPool
from bucketzip.s3.rangeget import RangeConnection, Refused, final_error
from bucketzip.s3.read import Read
from bucketzip.s3.reader_options import ReaderLimits, ReaderMetrics
from bucketzip.s3.resolver import Resolver
from bucketzip.s3.retry import Crawling, Tries
from bucketzip.s3.signing import Range, signed_get
from bucketzip.s3.stragglers import Stragglers
from bucketzip.s3.tasks import Tasks
from bucketzip.s3.unrouted import Unrouted
from bucketzip.transfer.fetch import Fetch

_log = logging.getLogger(__name__)

WATCH_SECONDS = 1.0


class S3RangeReader:
    """Implements `transfer.ports.RangeReader`."""

    def __init__(
        self,
        s3: S3,
        keeper: CredentialKeeper,
        metrics: ReaderMetrics,
        limits: ReaderLimits,
        tls: ssl.SSLContext,
        *,
        resolver: Resolver | None = None,
    ) -> None:
        self._s3 = s3
        self._keeper = keeper
        self._metrics = metrics
        self._ok = metrics.outcomes.labels("ok")
        self._limits = limits
        self._pool = ConnectionPool[Read](
            limits.connections,
            tls,
            resolver or Resolver(),
            ready=self._send,
            failed=self._failed,
            begun=self._begun,
            done=self._done,
        )
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._reads: dict[Fetch, Read] = {}
        self._busy: dict[RangeConnection, Read] = {}
        self._unrouted = Unrouted(s3, self._tasks, found=self._enqueue, failed=self._give_up)
        self._stragglers = Stragglers(limits.hedging, self._busy, self._ask_again)
        self._clock = SigningClock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["S3RangeReader"]:
        """Watch over the connections; close them all at the end."""
        self._tasks.spawn(self._watch())
        try:
            yield self
        finally:
            self._stragglers.close()
            for fetch in list(self._reads):
                self.cancel(fetch)
            await self._tasks.close()
            await self._pool.close()

    def start(self, fetch: Fetch) -> None:
        """Begin to fill the fetch."""
        tries = Tries(self._limits.tries, self._limits.slow_down_seconds)
        read = Read(goes_first=fetch.urgent, fetch=fetch, tries=tries, spending=counted_here())
        self._reads[fetch] = read
        self._enqueue(read)

    def cancel(self, fetch: Fetch) -> None:
        """Stop at once; a request in flight ends with its connection."""
        read = self._reads.pop(fetch, None)
        if read is None:
            return
        self._drop(read)
        if read.rival is not None:
            self._drop(read.rival)

    @property
    def open_connections(self) -> int:
        """Connections to S3, idle or not."""
        return self._pool.open_connections

    @property
    def concurrency_limit(self) -> int:
        """Requests that may be in flight at the endpoint that is most troubled."""
        return self._pool.concurrency_limit

    @property
    def waiting(self) -> int:
        """Reads that wait for a connection."""
        return self._pool.waiting

    def _enqueue(self, read: Read) -> None:
        if read.over:
            return
        read.route = self._s3.known_route(read.fetch.source.bucket)
        if read.route is None:
            self._unrouted.put(read)
        else:
            self._pool.put(read, read.route)

    def _send(self, read: Read, connection: RangeConnection) -> None:
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
        read.began, read.begun_at = self._loop.time(), 0.0
        read.received = fetch.received
        read.goes_first = True  # if it comes to a second try
        read.hedged = read.hedge
        self._busy[connection] = read
        connection.send(fetch, wanted, signed_get(read.route, wanted, read.keys, self._clock.stamp()))
        self._stragglers.sent()
        if read.spending is not None:
            read.spending.count("GetObject")
        if read.hedge:
            self._metrics.hedges.inc()

    def _begun(self, connection: RangeConnection) -> None:
        """The first byte of a large body is about to go into its fetch."""
        read = self._busy[connection]
        self._stragglers.begun(read)
        if read.rival is not None:
            self._win(read, read.rival)

    def _done(self, connection: RangeConnection, error: Exception | None) -> None:
        """A request came to its end, well or not."""
        read = self._busy.pop(connection, None)
        if read is None:
            return  # cancelled while its last piece was handed over
        read.connection = None
        self._metrics.received_bytes.inc(read.fetch.received - read.received)
        if error is None:
            now = self._loop.time()
            self._ok.inc()
            self._metrics.seconds.observe(now - read.began)
            self._stragglers.ended(read, now)
            self._pool.succeeded(connection, now)
            if read.rival is not None:
                self._win(read, read.rival)
            del self._reads[read.fetch]
        else:
            if isinstance(error, Refused):
                error.signed_by(self._keeper.whose)
            if isinstance(error, Refused) and error.slow_down:
                self._pool.refused(connection, read.began, self._loop.time())
            self._metrics.outcomes.labels(_outcome(error)).inc()
            silent = connection.requests > 1 and not connection.got_bytes
            self._failed(read, error, reused_and_silent=silent)
        self._pool.free(connection)

    def _failed(self, read: Read, error: Exception, *, reused_and_silent: bool = False) -> None:
        if self._left_to_rival(read):
            return
        again = read.tries.failed(
            error, received=read.fetch.received, reused_and_silent=reused_and_silent, now=self._loop.time()
        )
        if again is None:
            self._give_up(read, error)
            return
        source = read.fetch.source
        self._metrics.retries.labels(again.reason).inc()
        _log.debug("read again: %s", error, extra={"reason": again.reason, "bucket": source.bucket, "key": source.key})
        if again.set_clock is not None:
            self._clock.set(again.set_clock)
        if again.renew_credentials:
            self._tasks.spawn(self._renew(read))
        elif again.find_region and self._s3.known_route(source.bucket) is read.route:
            self._unrouted.put(read, anew=True)
        else:
            read.timer = self._loop.call_later(again.pause_seconds, self._enqueue, read)

    async def _renew(self, read: Read) -> None:
        await self._keeper.renew(read.keys)
        self._enqueue(read)

    def _give_up(self, read: Read, error: Exception) -> None:
        if read.over or self._left_to_rival(read):
            return
        read.over = True
        del self._reads[read.fetch]
        source = read.fetch.source
        read.fetch.fail(final_error(error, f"s3://{source.bucket}/{source.key}"))

    def _drop(self, read: Read) -> None:
        """Nobody needs it any more: it ends on the wire too."""
        read.over = True
        self._pool.forget(read)
        if read.timer is not None:
            read.timer.cancel()
        if read.connection is not None:
            del self._busy[read.connection]
            read.connection.close()
        elif read.hedge:  # it never got one
            self._stragglers.allowance.give_back()

    def _ask_again(self, read: Read) -> None:
        """A request is late."""
        assert read.route is not None
        assert read.connection is not None
        if self._pool.lowered(read.route) or not self._stragglers.allowance.spend():
            return
        if read.begun_at:
            read.connection.close()
            self._done(read.connection, Crawling())
            return
        read.hedged = True
        read.rival = Read(
            goes_first=read.fetch.urgent,
            hedge=True,
            fetch=read.fetch,
            tries=read.tries,
            route=read.route,
            rival=read,
            spending=read.spending,
        )
        self._pool.put(read.rival, read.route)

    def _win(self, read: Read, loser: Read) -> None:
        """Of two requests for the same bytes, the first answer has come."""
        if read.hedge:
            self._metrics.hedges_won.inc()
        self._becomes_the_only_one(read, loser)
        self._drop(loser)

    def _left_to_rival(self, read: Read) -> bool:
        """Whether another request for the same bytes is in flight, so that it does not matter what became of this."""
        rival = read.rival
        if rival is None:
            return False
        if rival.connection is None:
            read.rival = rival.rival = None
            self._drop(rival)
            return False
        read.over = True
        self._becomes_the_only_one(rival, read)
        return True

    def _becomes_the_only_one(self, read: Read, other: Read) -> None:
        read.rival = other.rival = None
        read.hedge = False
        self._reads[read.fetch] = read

    async def _watch(self) -> None:
        """Once a second: give up connections that stall, close those that idle or are old.

        Each look counts for a second, however late it comes: where this process is slow, S3 has not been silent.
        """
        silent_seconds: dict[RangeConnection, float] = {}
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            silent_seconds = {
                each: silent_seconds.get(each, 0.0) + WATCH_SECONDS for each in self._busy if not each.moved
            }
            for connection in self._busy:
                connection.moved = False
            for connection, seconds in silent_seconds.items():
                if seconds >= self._limits.stall_seconds and connection in self._busy:
                    connection.close()
                    self._done(connection, TimeoutError(f"no byte for {self._limits.stall_seconds:g} s"))
            self._pool.trim()


def _outcome(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.error.code
    if isinstance(error, Malformed):
        return "malformed"
    if isinstance(error, Crawling):
        return "crawl"
    return "stall" if isinstance(error, TimeoutError) else "connection"
