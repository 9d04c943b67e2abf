"""Addresses of S3's endpoints, looked up anew every few seconds and taken in turn, so that load spreads."""

import asyncio
import socket
from collections.abc import Callable
from itertools import count

from bucketzip.errors import S3Unreachable

KEEP_SECONDS = 5.0
"""S3 answers with a handful of its addresses and another handful a few seconds later."""


class Resolver:
    """Host -> address; one look-up at a time a host. Addresses that are not permitted are left out."""

    def __init__(self, permits: Callable[[str], bool] = lambda _: True) -> None:
        self._permits = permits
        self._known: dict[str, tuple[float, asyncio.Task[list[str]]]] = {}
        self._turn = count()

    async def addresses(self, host: str) -> list[str]:
        """All addresses of a host, each time beginning with another one."""
        now = asyncio.get_running_loop().time()
        at, task = self._known.get(host, (float("-inf"), None))
        if task is None or now - at > KEEP_SECONDS:
            task = asyncio.create_task(self._look_up(host))
            self._known[host] = (now, task)
        try:
            addresses = await asyncio.shield(task)
        except OSError as error:
            self._known.pop(host, None)
            raise S3Unreachable(f"{host}: {error}") from error
        if not addresses:
            raise S3Unreachable(f"{host}: its address is one that the settings of this server do not allow")
        first = next(self._turn) % len(addresses)
        return addresses[first:] + addresses[:first]

    async def _look_up(self, host: str) -> list[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [each for each in dict.fromkeys(str(address[0]) for *_, address in found) if self._permits(each)]
