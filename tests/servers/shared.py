"""One server for all workers of a run: who asks first starts it, and ends it when nobody uses it any more."""

import fcntl
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

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
        lock = cleanup.enter_context((directory / "lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_SH)  # held by each user
        if not told.exists():
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not told.exists():  # nobody was quicker
                server = cleanup.enter_context(running(Path(tempfile.mkdtemp(dir=directory))))
                told.write_text(json.dumps(asdict(server)))

                def alone() -> None:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    told.unlink()

                cleanup.callback(alone)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield RunningServer(**json.loads(told.read_text()))
