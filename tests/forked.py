"""`bucketzip` in a process of its own, forked from one that has imported it: most of what a start costs is imports.

It is a process as any other, with its own environment, directory and signals. What it is not is the installed script;
`installed` in `tests/command.py` is that.
"""

import asyncio
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from bucketzip.cli import main
from bucketzip.commands import COMMANDS

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [*[f"bucketzip.commands.{name.replace('-', '_')}" for name in COMMANDS], "tests.forked_warm"]
)


class Forked:
    """A command under way; what the tests want of `subprocess.Popen`."""

    def __init__(
        self, arguments: Sequence[str], work: Path, environment: Mapping[str, str], *, stdout: int, stderr: int
    ) -> None:
        passed = (list(arguments), str(work), dict(environment), _Passed(stdout), _Passed(stderr))
        self._process = _context.Process(target=_command, args=passed)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._handle = os.pidfd_open(self.pid)

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, or minus the number of the signal that ended it."""
        self._process.join(seconds)
        if (status := self._process.exitcode) is None:
            assert seconds is not None
            raise subprocess.TimeoutExpired("bucketzip", seconds)
        return status

    def close(self) -> None:
        """When it has ended."""
        os.close(self._handle)
        self._process.close()


class ForkedWithPipes(Forked):
    """The same, beside the loop; what the tests want of `asyncio.subprocess.Process`."""

    stdout: asyncio.StreamReader | None = None
    stderr: asyncio.StreamReader | None = None

    @classmethod
    async def started(
        cls, arguments: Sequence[str], work: Path, environment: Mapping[str, str], *, stdout: int, stderr: int
    ) -> "ForkedWithPipes":
        """`stdout` and `stderr` are file descriptors, or PIPE."""
        readers: list[asyncio.StreamReader | None] = [None, None]
        ends = [stdout, stderr]
        for number, given in enumerate(ends):
            if given == subprocess.PIPE:
                readers[number], ends[number] = await _pipe()
        process = cls(arguments, work, environment, stdout=ends[0], stderr=ends[1])
        for reader, end in zip(readers, ends, strict=True):
            if reader is not None:
                os.close(end)
        process.stdout, process.stderr = readers
        return process

    @property
    def returncode(self) -> int | None:
        return self.poll()

    async def communicate(self) -> tuple[bytes | None, bytes | None]:
        """All that it writes, once it has ended."""
        readers = (self.stdout, self.stderr)
        out, said = await asyncio.gather(*[_all_of(reader) for reader in readers])
        await asyncio.to_thread(self.wait)
        return out, said


async def _pipe() -> tuple[asyncio.StreamReader, int]:
    """What comes out at one end, and the other end."""
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(read, "rb"))
    return reader, write


async def _all_of(reader: asyncio.StreamReader | None) -> bytes | None:
    return None if reader is None else await reader.read()


class _Passed:
    """A file descriptor that goes along with the arguments."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._descriptor),)


def _received(passed: Any) -> int:  # DupFd makes of it what has no type
    return int(passed.detach())


def _command(arguments: list[str], work: str, environment: dict[str, str], stdout: int, stderr: int) -> None:
    """In the new process, as the installed script does."""
    os.chdir(work)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for descriptor in (stdout, stderr):
        os.close(descriptor)
    main(arguments)
