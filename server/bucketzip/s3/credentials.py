"""One keeper of the credentials for the whole process.

botocore refreshes when somebody asks, and when that fails every waiter tries again in turn: 200 waiters made 200
refreshes, 40 s (measured). Here one task keeps the keys fresh, everybody else takes the last good ones at once, and
an answer of S3 that they have expired wakes that task once for all who got it.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from copy import copy
from functools import cache

from aiobotocore.credentials import AioCredentials
from aiobotocore.hooks import AioHierarchicalEmitter
from aiobotocore.session import AioSession
from botocore.credentials import ReadOnlyCredentials
from botocore.loaders import Loader, create_loader

from bucketzip.errors import BucketzipError, CredentialsExpired, NoCredentials, RoleRefused
from bucketzip.s3.errors import OURS, Whose, crossing
from bucketzip.s3.signing import Credentials

_log = logging.getLogger(__name__)

REFRESH_SECONDS = 30.0
"""botocore's own lead is 15 minutes before expiry, so looking this often costs nothing and is always early enough."""

RENEW_PAUSE_SECONDS = 1.0
"""Renewals on demand are at least so far apart."""


@cache
def _service_models() -> Loader:
    """What botocore knows of S3, read once for all clients of a process: each would take 0.1 s and 10 MB (measured)."""
    return create_loader()


@cache
def _handlers() -> AioHierarchicalEmitter:
    """Those that botocore registers in each new session, once: it takes 12 ms, and to copy them 2 (measured)."""
    handlers = AioHierarchicalEmitter()
    AioSession(event_hooks=handlers)
    return handlers


def _new_session() -> AioSession:
    return AioSession(event_hooks=copy(_handlers()), include_builtin_handlers=False)


Find = Callable[[], Awaitable[AioCredentials | None]]
"""Looks for credentials anew."""


async def by_default_chain() -> AioCredentials | None:
    """The server's own, as botocore finds them: environment, profile, container, role."""
    return await _new_session().get_credentials()


def these_keys(access_key: str, secret_key: str, token: str | None) -> Find:
    """Keys that there are no others for."""

    async def find() -> AioCredentials:
        return AioCredentials(access_key, secret_key, token, method="request")

    return find


class KeptCredentials(AioCredentials):
    """What botocore's clients sign with: the keeper's keys of this moment."""

    def __init__(self, keeper: "CredentialKeeper") -> None:
        super().__init__("", "", method="bucketzip")
        self._keeper = keeper

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:  # type: ignore[override]  # aiobotocore's is a coroutine too
        """The keys as they are now."""
        keys = self._keeper.current()
        return ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token)


class CredentialKeeper:
    """Finds credentials and keeps them fresh; by default the server's own."""

    def __init__(self, find: Find = by_default_chain, whose: Whose = OURS) -> None:
        self._find = find
        self.whose = whose
        self._provider: AioCredentials | None = None
        self._current: Credentials | None = None
        self._problem: BucketzipError | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._renewed_at = float("-inf")
        self.expire_at: float | None = None
        """When the keys of now do, in seconds since 1970, where that is known."""
        self.method = ""
        """Where the credentials come from, as botocore calls it."""

    def current(self) -> Credentials:
        """The last good keys; raises NoCredentials (or why they could not be had) when there never were any."""
        if self._current is None:
            raise self._problem or NoCredentials()
        return self._current

    @property
    def expiry(self) -> float:
        """When the keys of now end, in seconds since 1970: infinite for those that never do, 0 where there are none."""
        if self._current is None:
            return 0.0
        return math.inf if self.expire_at is None else self.expire_at

    async def renew(self, used: Credentials | None = None) -> None:
        """Look through the whole chain anew, once for all who ask at the same time.

        Nothing is done for one whose keys, the `used` ones, have been renewed while S3 refused them.
        """
        if used is not None and used != self._current:
            return
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
        await asyncio.shield(self._renewing)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CredentialKeeper"]:
        """Have credentials now if there are any, and keep them fresh."""
        await self.renew()
        refresher = asyncio.create_task(self._refresh_for_ever())
        try:
            yield self
        finally:
            for task in (refresher, self._renewing):
                if task is not None:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    @property
    def problem(self) -> BucketzipError | None:
        """Why there are no keys, or why the last look for new ones failed."""
        return self._problem

    def session(self) -> AioSession:
        """A session whose clients sign with the keeper's keys."""
        session = _new_session()
        session.register_component("credential_provider", self)
        session.register_component("data_loader", _service_models())
        return session

    async def read_session(self, service: str) -> AioSession:
        """The same, with all files read that a client of this service wants: not in the loop."""
        session = self.session()

        def read() -> None:
            _ = session.full_config
            for kind in ("service-2", "endpoint-rule-set-1"):
                _service_models().load_service_model(service, kind, api_version=None)  # as botocore asks

        await asyncio.to_thread(read)
        return session

    async def load_credentials(self) -> AioCredentials:
        """What a session asks its `credential_provider` for."""
        return KeptCredentials(self)

    async def _renew(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._renewed_at < RENEW_PAUSE_SECONDS:
            await asyncio.sleep(RENEW_PAUSE_SECONDS)
        self._renewed_at = asyncio.get_running_loop().time()
        await self._look(anew=True)

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._look()

    async def _look(self, *, anew: bool = False) -> None:
        try:
            with crossing("their source"):
                keys = await self._keys(None if anew else self._provider)
        except (NoCredentials, CredentialsExpired, RoleRefused) as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  -- botocore passes on whatever the source of a provider raises
            self._failed(CredentialsExpired(f"AWS credentials could not be had: {error}"))
        else:
            if keys != self._current:
                _log.info("credentials are there", extra={"method": self.method})
            self._current, self._problem = keys, None

    async def _keys(self, provider: AioCredentials | None) -> Credentials:
        """The keys of now: of this provider, or of the first in the chain that has some."""
        provider = provider or await self._find()
        if provider is None:
            raise NoCredentials
        self._provider = provider
        access_key, secret_key, token, _ = await provider.get_frozen_credentials()
        if not access_key or not secret_key:
            raise NoCredentials
        self.method = provider.method or ""
        expiry = getattr(provider, "_expiry_time", None)  # of those that are renewed; botocore tells nobody otherwise
        self.expire_at = expiry.timestamp() if expiry is not None else None
        return Credentials(access_key, secret_key, token)

    def _failed(self, error: BucketzipError) -> None:
        """Keep the last good keys: they may be good for a while, and S3 says when they are not."""
        self._problem = error
        _log.warning("credentials could not be had: %s", error)
