"""Trying again for as long as it makes sense: S3 may be away for an hour, and the job goes on where it stood."""

import asyncio
import logging
import random
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from bucketzip.errors import BucketzipError

_log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0

MACHINE_ERRORS = (sqlite3.OperationalError, OSError)
"""The disk is full, or the state locked for long. Nothing is wrong with the job, and asking again may help."""


class Patience:
    """Of one job: it ends when nothing at all went well for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._failing_since: float | None = None

    async def with_(self, do: Callable[[], Awaitable[T]]) -> T:
        """Do it, again where that may help; raises what did not."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                result = await do()
            except (BucketzipError, *MACHINE_ERRORS) as error:
                if isinstance(error, BucketzipError) and not error.retryable:
                    raise
                now = asyncio.get_running_loop().time()
                self._failing_since = self._failing_since or now
                if now - self._failing_since > self._seconds:
                    raise
                _log.info("tried again in a while: %s", error, extra={"code": getattr(error, "code", "internal")})
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  -- spreads load, keeps no secret
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._failing_since = None
                return result


async def not_broken_off(do: Coroutine[Any, Any, T], *, seconds: float) -> T:
    """What comes of it. Whoever is cancelled here goes only when that is there, or after so many seconds."""
    task = asyncio.create_task(do)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def first_of(errors: ExceptionGroup[Exception]) -> Exception:
    """The first error of a group of groups; what else was under way was cancelled for it."""
    error = errors.exceptions[0]
    return first_of(error) if isinstance(error, ExceptionGroup) else error
