"""A lock that one process of the machine holds. The kernel lets go of it however the process ends."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

TRY_SECONDS = 1.0


@asynccontextmanager
async def hold_lock(path: Path) -> AsyncIterator[None]:
    """Wait for the lock, and hold it."""
    descriptor = await asyncio.to_thread(os.open, path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not await asyncio.to_thread(_taken, descriptor):  # noqa: ASYNC110  -- another process tells nobody
            await asyncio.sleep(TRY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
