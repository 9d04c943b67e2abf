"""Waiting for a coroutine where there is no loop, and where there is one that runs already (a notebook, a server)."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, from a loop in a thread of its own. The caller's thread waits for it, and so its loop.

    Ctrl-C cancels the work, and is raised once that has ended; a second one leaves it as it stands.
    """
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()
    done: Future[T] = Future()

    async def told() -> T:
        task = asyncio.current_task()
        assert task is not None
        begun.set_result((asyncio.get_running_loop(), task))
        return await work

    def run() -> None:
        try:
            done.set_result(asyncio.run(told()))
        except BaseException as error:  # noqa: BLE001  -- it is raised where it is waited for
            done.set_exception(error)

    threading.Thread(target=run, name="bucketzip", daemon=True).start()
    try:
        return done.result()
    except KeyboardInterrupt:
        loop, task = begun.result()
        with suppress(RuntimeError):  # it has ended just now
            loop.call_soon_threadsafe(task.cancel)
        wait([done])
        raise
