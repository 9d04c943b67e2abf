"""One server for all workers of a run: who asks first starts it, and ends it when nobody uses it any more."""

import fcntl
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from tests.servers.s3_server import RunningServer

Running = Callable[[Path], AbstractContextManager[RunningServer]]
"""Runs a server with its files in a directory."""


@contextmanager
def shared(directory: Path, running: Running) -> Iterator[RunningServer]:
    """Use the server of all who give the same directory, for as long as the block lasts.

    The end of the block in which it was started waits for the end of all others.
    """
    directory.mkdir(exist_ok=True)
    told = directory / "server.json"
    with ExitStack() as cleanup:
        users = cleanup.enter_context((directory / "users").open("w"))
        with (directory / "start").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            while True:
                if not told.exists():
                    server = cleanup.enter_context(running(Path(tempfile.mkdtemp(dir=directory))))
                    told.write_text(json.dumps(asdict(server)))
                    cleanup.callback(_wait_for_all, users, told)
                fcntl.flock(users, fcntl.LOCK_SH)
                if told.exists():  # else it has just been ended
                    break
            server = RunningServer(**json.loads(told.read_text()))
        yield server


def _wait_for_all(users: IO[str], told: Path) -> None:
    fcntl.flock(users, fcntl.LOCK_EX)  # held until the server has ended
    told.unlink()
