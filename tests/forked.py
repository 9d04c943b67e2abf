"""`bucketzip` in a process of its own, forked from one that has imported it: half of what a start costs is imports.

It is a process as any other, with its own environment, directory and signals. Not so: its name and its way through
the installed script, which `tests/command.py` takes where it does not say otherwise.
"""

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

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["bucketzip.commands.serve", "bucketzip.commands.work", "bucketzip.commands.zip"])


class Forked:
    """A command under way; what the tests want of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], work: Path, environment: Mapping[str, str], output: int) -> None:
        """`output` is the file descriptor that is its standard output and error."""
        passed = (list(arguments), str(work), dict(environment), _Passed(output))
        self._process = _context.Process(target=_command, args=passed)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._handle = os.pidfd_open(self.pid)

    def send_signal(self, number: signal.Signals) -> None:
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


class _Passed:
    """A file descriptor that goes along with the arguments."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._descriptor),)


def _received(passed: Any) -> int:  # DupFd makes of it what has no type
    return int(passed.detach())


def _command(arguments: list[str], work: str, environment: dict[str, str], output: int) -> None:
    """In the new process, as the installed script does."""
    os.chdir(work)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    main(arguments)
