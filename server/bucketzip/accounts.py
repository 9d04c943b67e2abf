"""The accounts in use: one for all requests with the same credentials, opened by the first and kept open a while."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context
from typing import Generic, TypeVar

from bucketzip.plan.accounts import Account
from bucketzip.plan.sealing import Given, Sealing

IDLE_SECONDS = 300.0
"""A download that broke comes back soon, and a link is asked for more than once."""
MOST_OPEN = 32
"""Beyond so many, those that nobody uses are closed at once: each may have connections of its own."""

A = TypeVar("A", bound=Account)


class OpenAccounts(Generic[A]):
    """Implements `plan.accounts.Accounts`. `open_account` opens that of given credentials; `own` is open already."""

    def __init__(
        self, own: A, sealing: Sealing, open_account: Callable[[Given], AbstractAsyncContextManager[A]]
    ) -> None:
        self._own = own
        self._sealing = sealing
        self._open_account = open_account
        self._kept: dict[Given, _Kept[A]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["OpenAccounts[A]"]:
        """Close all at the end."""
        try:
            yield self
        finally:
            for given in list(self._kept):
                self._close(given)
            await asyncio.gather(*self._closing, return_exceptions=True)

    @asynccontextmanager
    async def using(self, sealed: str | None) -> AsyncIterator[A]:
        """By the port."""
        if sealed is None:
            yield self._own
            return
        given = self._sealing.unseal(sealed)
        kept = self._kept.pop(given, None) or _Kept(self._open_account(given))
        self._kept[given] = kept  # the last in the order of use
        kept.users += 1
        kept.stay()
        try:
            yield await kept.account()
        finally:
            kept.users -= 1
            if not kept.users and self._kept.get(given) is kept:
                if kept.failed:
                    self._close(given)
                else:
                    kept.leave_after(IDLE_SECONDS, lambda: self._close(given))
            self._close_some()

    def _close_some(self) -> None:
        """Of those that nobody uses the ones that were not used for longest, where there are too many."""
        idle = [given for given, kept in self._kept.items() if not kept.users]
        for given in idle[: max(0, len(self._kept) - MOST_OPEN)]:
            self._close(given)

    def _close(self, given: Given) -> None:
        kept = self._kept.pop(given)
        kept.close()
        self._closing.add(kept.task)
        kept.task.add_done_callback(self._closing.discard)


class _Kept(Generic[A]):
    """An account in a task of its own: whoever opens it may be cancelled while others wait for it."""

    def __init__(self, opening: AbstractAsyncContextManager[A]) -> None:
        self.users = 0
        self._over = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._opened: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        # Not about the request or the job that came first.
        self.task = asyncio.create_task(self._live(opening), context=Context())

    async def account(self) -> A:
        """Once it is open; raises what keeps it from that."""
        return await asyncio.shield(self._opened)

    @property
    def failed(self) -> bool:
        """Whether it was not opened, or is not open any more."""
        return self.task.done()

    def stay(self) -> None:
        """Somebody uses it."""
        if self._timer is not None:
            self._timer.cancel()

    def leave_after(self, seconds: float, leave: Callable[[], None]) -> None:
        """Nobody uses it now."""
        self._timer = asyncio.get_running_loop().call_later(seconds, leave)

    def close(self) -> None:
        """The task ends soon."""
        self.stay()
        self._over.set()

    async def _live(self, opening: AbstractAsyncContextManager[A]) -> None:
        try:
            async with opening as account:
                self._opened.set_result(account)
                await self._over.wait()
        except Exception as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
