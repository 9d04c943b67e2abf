"""Progress on a terminal: bytes, percent, rate and time left."""

import time
from collections.abc import Callable
from typing import TextIO

from bucketzip.terminal import StatusLine, amount, pace


class Progress:
    """Call it with the bytes done so far; where `stream` is no terminal it says nothing."""

    def __init__(self, total_bytes: int, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._total_bytes = total_bytes
        self._clock = clock
        self._began = clock()
        self._line = StatusLine(stream, clock)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._began

    def __call__(self, done_bytes: int) -> None:
        """Say how far it is, a few times a second."""

        def line() -> str:
            rate = done_bytes / self.seconds
            return f"{amount(done_bytes, self._total_bytes)}  {pace(rate, self._total_bytes - done_bytes)}"

        self._line.show(line)

    def clear(self) -> None:
        """Leave the line empty."""
        self._line.clear()
