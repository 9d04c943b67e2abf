"""How far to read ahead of one client: as far as it has shown that it takes, and as reading ahead helps.

The window opens by what the client takes, as TCP's does, and closes to what it took in the last `SECONDS` when it is
slow. So a fast client gets all the parallel reads it can use, and one at 10 KB/s holds next to nothing.

`COMFORTABLE_BYTES` is where a window stops that only this process' own speed limits: blocks then stay in the
processor's caches (measured on loopback, CPU a GiB: 0.45 s with 32 MiB, 0.70 s with 128 MiB). Over a longer way to S3
the processor has time to spare, and the window opens further.
"""

MIN_BYTES = 1 << 20
START_BYTES = 8 << 20
COMFORTABLE_BYTES = 32 << 20
SECONDS = 2.0
SPARE_CPU = 0.7
"""Below this share of a processor, more reads at once may help."""


class Window:
    """Bytes that may be in flight and buffered for one client."""

    def __init__(self, most_bytes: int) -> None:
        self.size_bytes = min(START_BYTES, most_bytes)
        self._most_bytes = most_bytes
        self._limit_bytes = min(COMFORTABLE_BYTES, most_bytes)
        self._taken_bytes = 0

    def taken(self, count: int) -> None:
        """The client took `count` bytes."""
        self._taken_bytes += count
        self.size_bytes = min(self.size_bytes + count, self._limit_bytes)

    def elapsed(self, seconds: float, cpu_seconds: float, *, writing: bool) -> None:
        """Look back on the time since the last look, and on the CPU time that this process used in it.

        `writing`: the client has not taken all that it was sent. Else it is S3 that is waited for, and a window closed
        for that would make the waiting longer.
        """
        fully_open = self.size_bytes == self._limit_bytes
        rate = self._taken_bytes / seconds
        self._taken_bytes = 0
        if writing:
            self.size_bytes = max(MIN_BYTES, min(self.size_bytes, int(rate * SECONDS)))
        if cpu_seconds >= seconds * SPARE_CPU:
            self._limit_bytes = min(COMFORTABLE_BYTES, self._most_bytes)
        elif fully_open:
            self._limit_bytes = min(2 * self._limit_bytes, self._most_bytes)
