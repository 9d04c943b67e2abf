"""Settings as commands read them: from their options, else from the environment, else their defaults."""

import argparse
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from bucketzip.commands import FAILED, CommandError
from bucketzip.errors import BucketzipError
from bucketzip.settings import PREFIX, Settings, misspelt
from bucketzip.wording import mistake


def add_settings(parser: argparse._ActionsContainer, names: Iterable[str], **defaults: str) -> None:
    """An option for each; `defaults` says what stands in for those that this command has different."""
    for name in names:
        field = Settings.model_fields[name]
        default = defaults.get(name, "" if field.default in ("", None) else str(field.default))
        choices = "|".join(map(str, get_args(field.annotation)))
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=choices or name.rpartition("_")[2].upper(),
            help=f"{field.description}{default and f' [{default}]'}",
        )


def read_settings(options: argparse.Namespace, **defaults: Any) -> Settings:
    """All of them, `defaults` for those that nobody gives; raises CommandError with all mistakes at once."""
    mistakes = [f"{name}: no such setting (see `bucketzip serve --help`)" for name in misspelt()]
    given = {
        name: value for name, value in vars(options).items() if name in Settings.model_fields and value is not None
    }
    settings = None
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for each in error.errors():
            name = str(each["loc"][0])
            where = f"--{name.replace('_', '-')}" if name in given else f"{PREFIX}{name.upper()}"
            mistakes.append(f"{where}: {mistake(each['msg'])}, not {each['input']!r}")
    if settings is None or mistakes:
        raise CommandError("\n".join(mistakes))
    return settings.model_copy(
        update={name: value for name, value in defaults.items() if name not in settings.model_fields_set}
    )


@contextmanager
def working_in(settings: Settings, *, verb: str = "start", status: int = FAILED) -> Iterator[None]:
    """Make the state directory if need be; what keeps a command from its work is raised as CommandError."""
    try:
        _prepare(settings.state_dir)
        yield
    except BucketzipError as error:
        raise CommandError(str(error), status) from error
    except BrokenPipeError:  # who reads what is printed has left
        raise
    except (OSError, sqlite3.Error) as error:
        where = f" in {settings.state_dir}" if isinstance(error, sqlite3.Error) else ""
        raise CommandError(f"cannot {verb}: {error}{where}", status) from error


def _prepare(directory: Path) -> None:
    """Raises OSError, which says more than what SQLite would."""
    try:
        if not directory.exists():
            directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise OSError(f"the state directory {directory} cannot be written to: {error.strerror}") from error
