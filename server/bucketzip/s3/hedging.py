"""Which requests are late, and how many may be sent a second time. Pure: the times are the caller's.

A request is late by what others of its kind took of late, not by a fixed time: what is slow next door to S3 is quick
from another continent. The measure is twice the ninth decile. It stays where it is while one request in ten is
slow, which the 99th percentile would not while one in a hundred is; of an ordinary spread it picks one in a hundred.

Second requests are earned: each answered one allows a share of another, and few can be saved up. So when all of S3 is
slow, or this machine is, that is not answered with twice the load.
"""

from collections import deque

RECENT = 128
ENOUGH = 20
"""Fewer show nothing."""
MOST_SAVED = 8.0


class Usual:
    """What something took of late, and from what on it is late; in any unit in which more is worse."""

    def __init__(self, *, factor: float, least: float, unknown: float) -> None:
        """Late is `factor` times the ninth decile, at `least`; `unknown` before enough is known."""
        self._factor = factor
        self._least = least
        self._unknown = unknown
        self._recent: deque[float] = deque(maxlen=RECENT)
        self.add = self._recent.append
        """Note one."""

    @property
    def late(self) -> float:
        """What is more than this is late."""
        if len(self._recent) < ENOUGH:
            return self._unknown
        return max(self._least, self._factor * sorted(self._recent)[len(self._recent) * 9 // 10])


class Allowance:
    """How many second requests there may be: a `share` of the others, and at most `MOST_SAVED` saved up."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = MOST_SAVED if share else 0.0

    def earn(self) -> None:
        """A request was answered."""
        self._saved = min(MOST_SAVED, self._saved + self._share)

    def spend(self) -> bool:
        """Take one, or be told that there is none."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True

    def give_back(self) -> None:
        """One was not needed in the end."""
        self._saved = min(MOST_SAVED, self._saved + 1)
