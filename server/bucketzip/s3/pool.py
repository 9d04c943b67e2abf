"""The connections for ranged GETs, and in which order reads get them. No task, future or timer where one is idle.

Rules:

1.  All endpoints share one limit. Connections are reused last in, first out, and aged out, so that load follows S3's
    addresses.
2.  At one endpoint, reads that somebody waits for go first, and those that have begun; the others follow in order.
3.  Endpoints wait apart, and one that does not answer holds up no other: until a connection to it is open, it may take
    half of the limit. At the limit, a connection that comes free makes room for an endpoint that has fewer by two; one
    that has none takes its turn by the order of the reads.
4.  An endpoint that says SlowDown is sent fewer requests at once (`concurrency.py`). The others are not, and may have
    the connections that it cannot use.
5.  Hedges, second requests for bytes that are late, go behind all reads of their endpoint, unless somebody waits for
    the bytes. They make room for themselves nowhere, and none goes to an endpoint that said SlowDown.
6.  A connection that cannot be opened, or is closed before its first request, is the failure of one waiting read. So
    the tries and pauses of the reads bound how often it is tried again.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from bucketzip.errors import BucketzipError, S3Unreachable
from bucketzip.s3.concurrency import Concurrency
from bucketzip.s3.endpoint import Endpoint, Waiter
from bucketzip.s3.rangeget import Begun, Done, RangeConnection
from bucketzip.s3.resolver import Resolver
from bucketzip.s3.signing import Route
from bucketzip.s3.tasks import Tasks

RECEIVE_BUFFER_BYTES = 2 << 20
"""Asked of the kernel a connection: larger ones grow outside any budget, smaller ones cost CPU (measured)."""
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 15.0
"""S3 closes idle connections after some 20 s."""
OLDEST_SECONDS = 300.0
SPARE_SECONDS = 1.0
"""A connection idle for so long is not missed where another endpoint wants for one."""

W = TypeVar("W", bound=Waiter)


class ConnectionPool(Generic[W]):
    """Gives connections to those who wait: by `ready`, or `failed` where none can be had.

    `begun` and `done` are those of the connections. `ready` may be called from within `put`, the others only from the
    event loop.
    """

    def __init__(
        self,
        limit: int,
        tls: ssl.SSLContext,
        resolver: Resolver,
        *,
        ready: Callable[[W, RangeConnection], None],
        failed: Callable[[W, Exception], None],
        begun: Begun,
        done: Done,
    ) -> None:
        self._limit = limit
        self._tls = tls
        self._ready = ready
        self._failed = failed
        self._begun = begun
        self._done = done
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._numbers = count()
        self._endpoints: dict[tuple[bool, str, int], Endpoint[W]] = {}
        self._connections: dict[RangeConnection, Endpoint[W]] = {}
        self._opening = 0

    @property
    def open_connections(self) -> int:
        """Connections, idle or not."""
        return len(self._connections)

    @property
    def waiting(self) -> int:
        """Reads that wait for one."""
        return sum(endpoint.waiting for endpoint in self._endpoints.values())

    @property
    def concurrency_limit(self) -> int:
        """Requests that may be in flight at the endpoint where that is least."""
        return min((each.concurrency.limit for each in self._endpoints.values()), default=self._limit)

    def put(self, waiter: W, route: Route) -> None:
        """Have it wait for a connection; `ready` at once where one is idle."""
        where = _where(route)
        endpoint = self._endpoints.get(where)
        if endpoint is None:
            endpoint = self._endpoints[where] = Endpoint(route, Concurrency(self._limit))
        waiter.number = next(self._numbers)
        endpoint.put(waiter)
        self._dispatch(endpoint)

    def forget(self, waiter: W) -> None:
        """Have it wait no more."""
        if waiter.endpoint is not None:
            waiter.endpoint.forget(waiter)

    def lowered(self, route: Route) -> bool:
        """Whether S3 says SlowDown there."""
        endpoint = self._endpoints.get(_where(route))
        return endpoint is not None and endpoint.concurrency.lowered

    def succeeded(self, connection: RangeConnection, now: float) -> None:
        """Its request was answered."""
        endpoint = self._connections.get(connection)
        if endpoint is not None:
            endpoint.concurrency.succeeded(now)

    def refused(self, connection: RangeConnection, sent_at: float, now: float) -> None:
        """S3 said SlowDown to its request."""
        endpoint = self._connections.get(connection)
        if endpoint is not None:
            endpoint.concurrency.refused(sent_at, now)

    def free(self, connection: RangeConnection) -> None:
        """A connection that had been given carries no request any more."""
        endpoint = self._connections.get(connection)
        if endpoint is None:
            return
        if connection.usable:
            connection.free_at = self._loop.time()
            endpoint.idle.append(connection)
            if connection.free_at - connection.opened_at > OLDEST_SECONDS:
                self._retire(connection)
            elif len(self._endpoints) > 1:
                self._give_way(endpoint)
        if endpoint.somebody_waits:
            self._dispatch(endpoint)

    def trim(self) -> None:
        """Close what idles or is old."""
        now = self._loop.time()
        for connection in [each for endpoint in self._endpoints.values() for each in endpoint.idle]:
            if now - connection.free_at > IDLE_SECONDS or now - connection.opened_at > OLDEST_SECONDS:
                self._retire(connection)
        # Where each bucket has a host of its own, endpoints come and go.
        self._endpoints = {
            where: each
            for where, each in self._endpoints.items()
            if each.held or each.waiting or each.concurrency.remembers(now)
        }

    async def close(self) -> None:
        """Close all; nobody is called any more."""
        await self._tasks.close()
        for connection in list(self._connections):
            connection.close()
        # Their `connection_lost` comes a turn of the loop later, over TLS some more.
        while self._connections:  # noqa: ASYNC110  -- an event would need a second path through `_lost`
            await asyncio.sleep(0)

    def _dispatch(self, endpoint: Endpoint[W]) -> None:
        """Give out what is idle, and open connections for the others as far as they may be opened."""
        room = endpoint.room
        while room > 0 and endpoint.idle:
            connection = endpoint.idle.pop()
            if not connection.usable:
                continue
            waiter = endpoint.take()
            if waiter is None:
                endpoint.idle.append(connection)
                return
            room -= 1
            self._ready(waiter, connection)
        most = self._limit if endpoint.held > endpoint.opening else (self._limit + 1) // 2
        for _ in range(min(endpoint.wanted, most) - endpoint.opening):
            if not self._has_room() and not self._make_room(endpoint):
                return
            endpoint.held += 1
            endpoint.opening += 1
            self._opening += 1
            self._tasks.spawn(self._open(endpoint))

    def _dispatch_all(self) -> None:
        """There is room again: for those who have least of it first."""
        waiting = [each for each in self._endpoints.values() if each.somebody_waits]
        for endpoint in sorted(waiting, key=lambda each: each.held):
            self._dispatch(endpoint)

    def _has_room(self) -> bool:
        return len(self._connections) + self._opening < self._limit

    def _make_room(self, needy: Endpoint[W]) -> bool:
        """For a read: close an idle connection of an endpoint that has more of them, or no use for it."""
        if not needy.short:
            return False
        now = self._loop.time()
        for other in self._endpoints.values():
            if other.idle and (other.surplus or other.held > needy.held or now - other.idle[0].free_at > SPARE_SECONDS):
                self._retire(other.idle[0])
                return True
        return False

    def _give_way(self, endpoint: Endpoint[W]) -> None:
        """Close a connection that came free, where that is rule 3."""
        others = [each for each in self._endpoints.values() if each.short and each is not endpoint]
        if not others or self._has_room():
            return
        needy = min(others, key=lambda each: each.held)
        in_turn = not needy.held and (not endpoint.waiting or needy.turn < endpoint.turn)
        if in_turn or needy.held + 1 < endpoint.held:
            self._retire(endpoint.idle[-1])
            self._dispatch(needy)

    async def _open(self, endpoint: Endpoint[W]) -> None:
        error: Exception | None = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._connect(endpoint.route)
        except (OSError, BucketzipError) as caught:  # OSError: also TimeoutError and ssl.SSLError
            error = caught
        else:
            self._connections[connection] = endpoint
            endpoint.idle.append(connection)
        self._opening -= 1
        endpoint.opening -= 1
        if error is None:
            self._dispatch(endpoint)
        else:
            endpoint.held -= 1
            self._one_fails(endpoint, error)
            self._dispatch_all()

    async def _connect(self, route: Route) -> RangeConnection:
        """To the first of the host's addresses that answers."""
        error: Exception = S3Unreachable(f"{route.host} has no address")
        for address in await self._resolver.addresses(route.host):
            try:
                return await self._connect_to(address, route)
            except OSError as caught:
                error = caught
        raise error

    async def _connect_to(self, address: str, route: Route) -> RangeConnection:
        raw = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            raw.setblocking(False)  # noqa: FBT003  -- the standard library's own
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            await self._loop.sock_connect(raw, (address, route.port))
            _, connection = await self._loop.create_connection(
                lambda: RangeConnection(self._begun, self._done, self._lost),
                sock=raw,
                ssl=self._tls if route.tls else None,
                server_hostname=route.host if route.tls else None,
            )
        except BaseException:
            raw.close()
            raise
        return connection

    def _lost(self, connection: RangeConnection) -> None:
        endpoint = self._release(connection)
        if endpoint is not None and not connection.requests:
            self._one_fails(endpoint, ConnectionResetError("closed before the first request"))
        self._dispatch_all()

    def _one_fails(self, endpoint: Endpoint[W], error: Exception) -> None:
        if (waiter := endpoint.take()) is not None:
            self._failed(waiter, error)

    def _retire(self, connection: RangeConnection) -> None:
        """Close a connection that is idle."""
        self._release(connection)
        connection.close()

    def _release(self, connection: RangeConnection) -> Endpoint[W] | None:
        """Count a connection no more; None where that was done before."""
        endpoint = self._connections.pop(connection, None)
        if endpoint is not None:
            endpoint.held -= 1
            if connection in endpoint.idle:
                endpoint.idle.remove(connection)
        return endpoint


def _where(route: Route) -> tuple[bool, str, int]:
    return (route.tls, route.host, route.port)
