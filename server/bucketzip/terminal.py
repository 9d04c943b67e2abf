"""A line on a terminal that says how far something is, written over a few times a second."""

import shutil
import time
from collections.abc import Callable
from typing import TextIO

EVERY_SECONDS = 0.2

MIB = 1 << 20

_CLEAR = "\r\x1b[K"


class StatusLine:
    """Call `show` as often as you like; where `stream` is no terminal it says nothing."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._said_at = clock()
        self._visible = stream.isatty()

    def show(self, line: Callable[[], str]) -> None:
        """Say what `line` returns, unless something was said a moment ago."""
        if self._visible and self._clock() - self._said_at >= EVERY_SECONDS:
            self._said_at = self._clock()
            columns = shutil.get_terminal_size().columns
            self._stream.write(_CLEAR + line()[: columns - 1])
            self._stream.flush()

    def clear(self) -> None:
        """Leave the line empty."""
        if self._visible:
            self._stream.write(_CLEAR)
            self._stream.flush()

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


def entries(count: int) -> str:
    """`1 entry`, `1,052 entries`."""
    return f"{count:,} entr{'y' if count == 1 else 'ies'}"


def printable(text: str) -> str:
    """Without what would move a terminal's cursor: names of objects, and in files of others, are anybody's."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
