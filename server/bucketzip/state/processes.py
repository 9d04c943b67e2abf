"""Which of the machine's processes are alive: who began something and died left it for others to mend.

Each process holds a lock on a file of its own. The kernel lets go of it however the process ends, and no process id
is there to be used again by another.
"""

import asyncio
import fcntl
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class Processes:
    """The processes that share a state directory, this one among them by the name `own`."""

    def __init__(self, directory: Path, own: str) -> None:
        self.own = own
        self._directory = directory

    def alive(self, name: str) -> bool:
        """Whether the process of that name still runs. Blocks for a moment."""
        try:
            descriptor = os.open(self._directory / name, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            (self._directory / name).unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)


@asynccontextmanager
async def join_processes(state_directory: Path) -> AsyncIterator[Processes]:
    """Be one of them until the end."""
    directory, name = state_directory / "processes", uuid.uuid4().hex
    descriptor = await asyncio.to_thread(_lock, directory, name)
    try:
        yield Processes(directory, name)
    finally:
        await asyncio.to_thread(_leave, directory / name, descriptor)


def _lock(directory: Path, name: str) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    unlocked = directory / f".{name}"
    descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    unlocked.rename(directory / name)  # it never stands there without its lock
    return descriptor


def _leave(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)
