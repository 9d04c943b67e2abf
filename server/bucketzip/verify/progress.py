"""Progress on a terminal: bytes, percent, rate and time left, on one line that is written over."""

import time
from collections.abc import Callable
from typing import TextIO

EVERY_SECONDS = 0.2

_MIB = 1 << 20
_CLEAR = "\r\x1b[K"


class Progress:
    """Call it with the bytes done so far; where `stream` is no terminal it says nothing."""

    def __init__(self, total_bytes: int, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._total_bytes = total_bytes
        self._stream = stream
        self._clock = clock
        self._began = self._said_at = clock()
        self._visible = stream.isatty()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._began

    def __call__(self, done_bytes: int) -> None:
        """Say how far it is, a few times a second."""
        if not self._visible:
            return
        now = self._clock()
        if now - self._said_at >= EVERY_SECONDS:
            self._said_at = now
            self._stream.write(_CLEAR + self._line(done_bytes, now - self._began))
            self._stream.flush()

    def clear(self) -> None:
        """Leave the line empty."""
        if self._visible:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def _line(self, done_bytes: int, seconds: float) -> str:
        rate = done_bytes / seconds
        percent = 100 * done_bytes // self._total_bytes if self._total_bytes else 100
        left = round((self._total_bytes - done_bytes) / rate) if rate else 0
        return (
            f"{percent:3} %  {done_bytes / _MIB:,.0f} of {self._total_bytes / _MIB:,.0f} MiB  "
            f"{rate / _MIB:,.0f} MiB/s  {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
        )
