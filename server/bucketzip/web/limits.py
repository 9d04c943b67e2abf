"""How many downloads go on at a time, in this process: in all, and for the user who made their links."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bucketzip.errors import TooBusy, TooManyDownloads


class DownloadLimits:
    """Counts them; 0 is no limit."""

    def __init__(self, *, at_once: int, per_user: int) -> None:
        self._at_once = at_once
        self._per_user = per_user
        self._running: Counter[str] = Counter()

    @contextmanager
    def admitted(self, owner: str) -> Iterator[None]:
        """One more, for as long as it goes on; raises TooBusy, TooManyDownloads."""
        if self._at_once and self._running.total() >= self._at_once:
            raise TooBusy(f"this server sends {self._at_once} downloads at a time, and that many go on; try again soon")
        if self._per_user and self._running[owner] >= self._per_user:
            raise TooManyDownloads
        self._running[owner] += 1
        try:
            yield
        finally:
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]
