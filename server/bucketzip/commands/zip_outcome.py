"""What all forms of `bucketzip zip` say when they do not succeed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from bucketzip.commands import CommandError
from bucketzip.commands.settings import working_in
from bucketzip.errors import BucketzipError
from bucketzip.local import CannotSave
from bucketzip.settings import Settings
from bucketzip.state.workspaces import WorkspaceTaken
from bucketzip.terminal import printable

FAILED = 1
"""Exit status; what cannot be read of the command line is 2, as argparse has it."""

GO_ON = "the same command goes on from there (--discard throws it away)"


@contextmanager
def zipping(destination: str, settings: Settings, *, as_json: bool) -> Iterator[None]:
    """What keeps it from success is raised as CommandError, and told to programs too."""
    try:
        with working_in(settings, verb="zip", status=FAILED):
            yield
    except (CommandError, CannotSave, WorkspaceTaken) as error:
        if as_json:
            code = getattr(error.__cause__, "code", BucketzipError.code)
            told = {"destination": destination, "state": "failed", "error": {"code": code, "detail": str(error)}}
            print(json.dumps(told))
        raise CommandError(printable(str(error)), FAILED) from error
