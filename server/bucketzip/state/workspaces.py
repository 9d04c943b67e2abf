"""State directories of commands that do one thing and end, below `zip/` of a directory that many of them share.

One that is kept has the name of what is to be done: the same command, begun again, goes on in it. It is removed when
that has come to its end, so what is left there is what somebody may want to go on with. The others are thrown away,
those of dead processes by the next one.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "zip"
_ONCE = "once-"


class WorkspaceTaken(Exception):
    """Another process works in it, or has just removed it."""


class Workspace:
    """A state directory that no other process uses."""

    def __init__(self, path: Path, *, new: bool) -> None:
        self.path = path
        self.new = new
        """Whether there was nothing in it."""
        self.over = False
        """Set it when nothing in it is needed any more."""


@contextmanager
def kept(base: Path, name: str) -> Iterator[Workspace]:
    """The one of that name, which stays unless its work is over; raises WorkspaceTaken."""
    path = base / FOLDER / name
    with _locked(path):
        workspace = Workspace(path, new=not any(path.iterdir()))
        try:
            yield workspace
        finally:
            if workspace.over:
                shutil.rmtree(workspace.path)


@contextmanager
def thrown_away(base: Path) -> Iterator[Workspace]:
    """One that is removed at the end."""
    _sweep(base / FOLDER)
    path = base / FOLDER / f"{_ONCE}{uuid.uuid4().hex}"
    with _locked(path):
        try:
            yield Workspace(path, new=True)
        finally:
            shutil.rmtree(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WorkspaceTaken("the same command is running already") from error
        if not os.fstat(descriptor).st_nlink:  # it was removed before we had it
            raise WorkspaceTaken("the same command has just ended")
        yield
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what dead processes should have."""
    for path in folder.glob(f"{_ONCE}*"):
        try:
            with _locked(path):
                shutil.rmtree(path)
        except (WorkspaceTaken, OSError):
            continue
