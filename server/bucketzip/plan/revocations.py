"""Ends what goes on for links that were revoked, by whatever process of the machine, within a second or so."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bucketzip.errors import LinkRevoked
from bucketzip.state.links import Links

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often it is looked which links were revoked, while something goes on for any: one read by primary keys."""


class Revocations:
    """What this process does for links, by their ids."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._scopes: defaultdict[str, set[asyncio.Timeout]] = defaultdict(set)
        self._busy = asyncio.Event()

    @asynccontextmanager
    async def heeded(self, link_id: str) -> AsyncIterator[None]:
        """What is done within ends with LinkRevoked as soon as the link is known to be revoked."""
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes[link_id].add(scope)
                self._busy.set()
                try:
                    yield
                finally:
                    self._leave(link_id, scope)
        except TimeoutError as error:
            if scope.expired():
                raise LinkRevoked from error
            raise

    def end(self, link_id: str) -> None:
        """End what goes on for a link in this process."""
        for scope in self._scopes.get(link_id, ()):
            if not scope.expired():
                scope.reschedule(asyncio.get_running_loop().time())

    async def watch(self) -> None:
        """Look for ever; cancel it."""
        while True:
            await self._busy.wait()
            await asyncio.sleep(LOOK_SECONDS)
            try:
                for link_id in await self._links.revoked(list(self._scopes)):
                    self.end(link_id)
            except Exception:  # noqa: BLE001  -- a locked file, say: the next look may do better
                _log.exception("revoked links could not be looked for")

    def _leave(self, link_id: str, scope: asyncio.Timeout) -> None:
        scopes = self._scopes[link_id]
        scopes.discard(scope)
        if not scopes:
            del self._scopes[link_id]
        if not self._scopes:
            self._busy.clear()
