"""One question at a time: whoever asks what is being asked already waits for that answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """Runs what is asked for a key once for all who ask meanwhile."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Task[T]] = {}

    async def do(self, key: K, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer; it is asked for to its end, even where those who wait for it are cancelled."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.ensure_future(ask())
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)
