"""How far something is: a bar on a terminal, drawn anew a few times a second; elsewhere now and then a line."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from bucketzip.bar import Bar

EVERY_SECONDS = 0.2
LINE_SECONDS = 60.0
"""Between lines, where they stay: in a pipe, a file, a log."""

MIB = 1 << 20


class StatusLine:
    """Call `show` as often as you like. `quiet`: it says nothing, but what is written to it goes through."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, *, quiet: bool = False) -> None:
        self._stream = stream
        self._clock = clock
        self._said_at = clock()
        self._on_terminal = stream.isatty()
        self._every_seconds = float("inf") if quiet else EVERY_SECONDS if self._on_terminal else LINE_SECONDS
        self._bar: Bar | None = None

    def show(self, line: Callable[[], str], done: float | None = None) -> None:
        """Say what `line` returns, unless something was said a moment ago; `done` is how much of it is, up to 1."""
        if self._clock() - self._said_at < self._every_seconds:
            return
        self._said_at = self._clock()
        if not self._on_terminal:
            self._stream.write(f"{line()}\n")
            self._stream.flush()
            return
        if self._bar is None:
            from bucketzip.bar import Bar  # noqa: PLC0415  -- it takes 0.1 s, and most runs are not on a terminal

            self._bar = Bar(self._stream)
        self._bar.update(line(), done)

    def clear(self) -> None:
        """Leave nothing of it on the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def write(self, text: str) -> None:
        """Write something else, such as a log's line, where the status was."""
        self.clear()
        self._stream.write(text)

    def flush(self) -> None:
        """With `write` it is what a log's handler asks of a stream."""
        self._stream.flush()


def amount(done_bytes: int, total_bytes: int) -> str:
    """`` 45 %  1,052 of 2,310 MiB``."""
    percent = 100 * done_bytes // total_bytes if total_bytes else 100
    return f"{percent:3} %  {done_bytes / MIB:,.0f} of {total_bytes / MIB:,.0f} MiB"


def pace(bytes_per_second: float, left_bytes: int) -> str:
    """`93 MiB/s  0:00:27 left`."""
    left = round(left_bytes / bytes_per_second) if bytes_per_second else 0
    return f"{bytes_per_second / MIB:,.0f} MiB/s  {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"


def printable(text: str) -> str:
    """Without what would move a terminal's cursor: names of objects, and in files of others, are anybody's."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
