"""How much a request lets into its archive."""

from bucketzip.errors import OverLimit
from bucketzip.plan.request import ZipRequest


class Limits:
    """Counts objects and their bytes."""

    def __init__(self, request: ZipRequest) -> None:
        self._most_entries = request.max_entries
        self._most_bytes = request.max_bytes
        self._entries = 0
        self._bytes = 0

    def count(self, size: int) -> None:
        """One more object; raises OverLimit with the first that is too much, so what follows need not be listed."""
        self._entries += 1
        self._bytes += size
        if self._most_entries is not None and self._entries > self._most_entries:
            raise OverLimit(f"max_entries is {self._most_entries:,}, and there are {self._entries:,} objects at least")
        if self._most_bytes is not None and self._bytes > self._most_bytes:
            raise OverLimit(
                f"max_bytes is {self._most_bytes:,}, and the first {self._entries:,} objects have {self._bytes:,}"
            )
