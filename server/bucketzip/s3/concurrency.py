"""How many requests may be in flight at one endpoint: AIMD, additive increase and multiplicative decrease.

S3 limits requests a second and says 503 SlowDown above that, to some requests and not to others. What it will take is
unknown and changes, so it is found as TCP finds it: refused, a part of what was allowed; while answers come, a little
more every second. Pure: the times are the caller's.
"""

import math

CUT = 0.7
"""What is left of the limit after a refusal."""
RECOVERY_SECONDS = 10.0
"""From nothing to all of it. So slow, a steady limit of S3's is run into a few times a second, however short a round
trip is; and one stray refusal costs 3 s of somewhat less."""
LONGEST_STEP_SECONDS = 1.0
"""Silence for longer than this shows nothing more of what S3 would take."""
LEAST = 2
MEMORY_SECONDS = 60.0


class Concurrency:
    """The limit of one endpoint, between `LEAST` and `most` requests. Times are seconds of one monotonic clock."""

    def __init__(self, most: int) -> None:
        self.limit = most
        self._most = most
        self._exact = float(most)
        self._cut_at = self._grown_at = -math.inf

    @property
    def lowered(self) -> bool:
        """Whether S3 said SlowDown and the limit has not recovered from it."""
        return self._exact < self._most

    def refused(self, sent_at: float, now: float) -> None:
        """S3 said SlowDown to a request. One sent before the last cut tells nothing new, so a burst counts once."""
        if sent_at > self._cut_at:
            self._cut_at = self._grown_at = now
            self._set(max(min(LEAST, self._most), self._exact * CUT))

    def succeeded(self, now: float) -> None:
        """S3 answered a request."""
        if self.lowered:
            step_seconds = min(now - self._grown_at, LONGEST_STEP_SECONDS)
            self._grown_at = now
            self._set(min(self._most, self._exact + self._most * step_seconds / RECOVERY_SECONDS))

    def remembers(self, now: float) -> bool:
        """Whether what it knows is still worth keeping."""
        return self.lowered and now - self._cut_at < MEMORY_SECONDS

    def _set(self, exact: float) -> None:
        self._exact = exact
        self.limit = int(exact)
