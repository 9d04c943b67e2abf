"""Logging: one line an event, for people or as JSON. Whatever is passed as `extra` is part of it.

So is what the task is `about`, and the tasks that it starts: a line that is written deep inside tells of which request,
or of which job.
"""

import json
import logging
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Protocol

# Keys and error texts come from elsewhere, and must not make lines of their own or reach into a terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_WITHIN = re.compile(r"(?!\n)[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


_about: ContextVar[Mapping[str, object]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Have these fields on every line that is written meanwhile."""
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


class Stream(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object:
        """Write it."""

    def flush(self) -> object:
        """Let it be seen."""


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {**_about.get(), **{name: value for name, value in vars(record).items() if name not in _STANDARD}}


def _when(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


class TextFormatter(logging.Formatter):
    """`time level message name=value ...`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback where there is one."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_when(record)} {record.levelname.lower()} {record.getMessage()}{fields}"
        line = _CONTROL.sub(_escaped, line)
        if not record.exc_info:
            return line
        # Indented, since what others made us quote may look like a line of its own.
        traceback = _CONTROL_WITHIN.sub(_escaped, self.formatException(record.exc_info))
        return f"{line}\n{textwrap.indent(traceback, '    ', lambda _: True)}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        event = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        line = json.dumps(event, default=str, ensure_ascii=False)
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def configure(log_format: str, level: str, stream: Stream | None = None) -> None:
    """Log to standard error, which systemd keeps, unless it is to be elsewhere."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("bucketzip").setLevel(level.upper())
