"""Progress: bytes, percent, rate and time left."""

import time
from collections.abc import Callable
from typing import TextIO

from bucketzip.terminal import StatusLine, amount, pace


class Progress:
    """Call it with the bytes done so far."""

    def __init__(
        self,
        total_bytes: int,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        *,
        quiet: bool = False,
    ) -> None:
        self._total_bytes = total_bytes
        self._clock = clock
        self._began = clock()
        self._line = StatusLine(stream, clock, quiet=quiet)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._began

    def __call__(self, done_bytes: int) -> None:
        """Say how far it is, a few times a second."""

        def line() -> str:
            rate = done_bytes / self.seconds
            return f"{amount(done_bytes, self._total_bytes)}  {pace(rate, self._total_bytes - done_bytes)}"

        self._line.show(line, done_bytes / self._total_bytes if self._total_bytes else 1.0)

    def clear(self) -> None:
        """Leave the line empty."""
        self._line.clear()
