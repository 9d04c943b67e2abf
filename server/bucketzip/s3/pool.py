"""The connections for ranged GETs, and in which order reads get them. No task, future or timer where one is idle.

Rules:

1.  All endpoints share one limit. Connections are reused last in, first out, and aged out, so that load follows S3's
    addresses.
2.  At one endpoint, reads that somebody waits for go first, and those that have begun; the others follow in order.
3.  Endpoints wait apart, and one that does not answer holds up no other: until a connection to it is open, it may take
    half of the limit. At the limit, a connection that comes free makes room for an endpoint that has fewer by two; one
    that has none takes its turn by the order of the reads.
4.  A connection that cannot be opened, or is closed before its first request, is the failure of one waiting read. So
    the tries and pauses of the reads bound how often it is tried again.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeVar

from bucketzip.errors import BucketzipError, S3Unreachable
from bucketzip.s3.rangeget import Done, RangeConnection
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


@dataclass(eq=False)
class Waiter:
    """A read, as the pool sees it."""

    goes_first: bool
    number: int = 0
    endpoint: "_Endpoint[Any] | None" = None
    """Where it waits, if it does."""


W = TypeVar("W", bound=Waiter)


@dataclass(eq=False)
class _Endpoint(Generic[W]):
    """The connections to one address of requests, and the reads that wait for one."""

    route: Route
    first: deque[W] = field(default_factory=deque)
    queue: deque[W] = field(default_factory=deque)
    idle: list[RangeConnection] = field(default_factory=list)
    held: int = 0
    """Connections, open or being opened."""
    opening: int = 0

    @property
    def waiting(self) -> int:
        return len(self.first) + len(self.queue)

    @property
    def turn(self) -> tuple[bool, int]:
        """What its next read shows where it competes with those of other endpoints: less goes first."""
        return (not self.first, (self.first or self.queue)[0].number)

    def put(self, waiter: W) -> None:
        waiter.endpoint = self
        (self.first if waiter.goes_first else self.queue).append(waiter)

    def take(self) -> W:
        waiter = (self.first or self.queue).popleft()
        waiter.endpoint = None
        return waiter

    def forget(self, waiter: W) -> None:
        (self.first if waiter in self.first else self.queue).remove(waiter)
        waiter.endpoint = None


class ConnectionPool(Generic[W]):
    """Gives connections to those who wait: by `ready`, or `failed` where none can be had.

    `done` is that of the connections. `ready` may be called from within `put`, the others only from the event loop.
    """

    def __init__(
        self,
        limit: int,
        tls: ssl.SSLContext,
        *,
        ready: Callable[[W, RangeConnection], None],
        failed: Callable[[W, Exception], None],
        done: Done,
    ) -> None:
        self._limit = limit
        self._tls = tls
        self._ready = ready
        self._failed = failed
        self._done = done
        self._resolver = Resolver()
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._numbers = count()
        self._endpoints: dict[tuple[bool, str, int], _Endpoint[W]] = {}
        self._connections: dict[RangeConnection, _Endpoint[W]] = {}
        self._opening = 0

    @property
    def open_connections(self) -> int:
        """Connections, idle or not."""
        return len(self._connections)

    @property
    def waiting(self) -> int:
        """Reads that wait for one."""
        return sum(endpoint.waiting for endpoint in self._endpoints.values())

    def put(self, waiter: W, route: Route) -> None:
        """Have it wait for a connection; `ready` at once where one is idle."""
        where = (route.tls, route.host, route.port)
        endpoint = self._endpoints.get(where)
        if endpoint is None:
            endpoint = self._endpoints[where] = _Endpoint(route)
        waiter.number = next(self._numbers)
        endpoint.put(waiter)
        self._dispatch(endpoint)

    def forget(self, waiter: W) -> None:
        """Have it wait no more."""
        if waiter.endpoint is not None:
            waiter.endpoint.forget(waiter)

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
        if endpoint.waiting:
            self._dispatch(endpoint)

    def trim(self) -> None:
        """Close what idles or is old."""
        now = self._loop.time()
        for connection in [each for endpoint in self._endpoints.values() for each in endpoint.idle]:
            if now - connection.free_at > IDLE_SECONDS or now - connection.opened_at > OLDEST_SECONDS:
                self._retire(connection)
        # Where each bucket has a host of its own, endpoints come and go.
        self._endpoints = {where: each for where, each in self._endpoints.items() if each.held or each.waiting}

    async def close(self) -> None:
        """Close all; nobody is called any more."""
        await self._tasks.close()
        for connection in list(self._connections):
            connection.close()
        # Their `connection_lost` comes a turn of the loop later, over TLS some more.
        while self._connections:  # noqa: ASYNC110  -- an event would need a second path through `_lost`
            await asyncio.sleep(0)

    def _dispatch(self, endpoint: _Endpoint[W]) -> None:
        """Give out what is idle, and open connections for the others as far as they may be opened."""
        while endpoint.waiting and endpoint.idle:
            connection = endpoint.idle.pop()
            if connection.usable:
                self._ready(endpoint.take(), connection)
        most = self._limit if endpoint.held > endpoint.opening else (self._limit + 1) // 2
        for _ in range(min(endpoint.waiting, most) - endpoint.opening):
            if not self._has_room() and not self._make_room(endpoint):
                return
            endpoint.held += 1
            endpoint.opening += 1
            self._opening += 1
            self._tasks.spawn(self._open(endpoint))

    def _dispatch_all(self) -> None:
        """There is room again: for those who have least of it first."""
        waiting = [each for each in self._endpoints.values() if each.waiting]
        for endpoint in sorted(waiting, key=lambda each: each.held):
            self._dispatch(endpoint)

    def _has_room(self) -> bool:
        return len(self._connections) + self._opening < self._limit

    def _make_room(self, needy: _Endpoint[W]) -> bool:
        """Close an idle connection of an endpoint that has more of them, or no use for it."""
        now = self._loop.time()
        for other in self._endpoints.values():
            if other.idle and (other.held > needy.held or now - other.idle[0].free_at > SPARE_SECONDS):
                self._retire(other.idle[0])
                return True
        return False

    def _give_way(self, endpoint: _Endpoint[W]) -> None:
        """Close a connection that came free, where that is rule 3."""
        others = [each for each in self._endpoints.values() if each.waiting > each.opening and each is not endpoint]
        if not others or self._has_room():
            return
        needy = min(others, key=lambda each: each.held)
        in_turn = not needy.held and (not endpoint.waiting or needy.turn < endpoint.turn)
        if in_turn or needy.held + 1 < endpoint.held:
            self._retire(endpoint.idle[-1])
            self._dispatch(needy)

    async def _open(self, endpoint: _Endpoint[W]) -> None:
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
                lambda: RangeConnection(self._done, self._lost),
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

    def _one_fails(self, endpoint: _Endpoint[W], error: Exception) -> None:
        if endpoint.waiting:
            self._failed(endpoint.take(), error)

    def _retire(self, connection: RangeConnection) -> None:
        """Close a connection that is idle."""
        self._release(connection)
        connection.close()

    def _release(self, connection: RangeConnection) -> _Endpoint[W] | None:
        """Count a connection no more; None where that was done before."""
        endpoint = self._connections.pop(connection, None)
        if endpoint is not None:
            endpoint.held -= 1
            if connection in endpoint.idle:
                endpoint.idle.remove(connection)
        return endpoint
