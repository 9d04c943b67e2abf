"""How many attempts somebody may make: a few at once, then one every so often.

What is kept is one number for each who made any: when all of them will be forgotten (the "generic cell rate
algorithm"). So it is exact when the next one may come, and it is kept of a bounded number.
"""

import time
from collections.abc import Callable, Hashable


class Throttle:
    """`burst` attempts at once, and another one every `every_seconds`. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        burst: int,
        every_seconds: float,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every = every_seconds
        self._ahead = (burst - 1) * every_seconds
        self._most = most
        self._clock = clock
        self._clear_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._clear_at)

    def wait_seconds(self, who: Hashable) -> float:
        """How long until the next attempt; 0 for now."""
        now = self._clock()
        return max(0.0, self._clear_at.get(who, now) - now - self._ahead)

    def charge(self, who: Hashable) -> None:
        """An attempt is being made."""
        now = self._clock()
        self._clear_at[who] = max(self._clear_at.get(who, now), now) + self._every
        if len(self._clear_at) > self._most:
            self._forget(now)

    def refund(self, who: Hashable) -> None:
        """It was none that counts."""
        if who in self._clear_at:
            self._clear_at[who] -= self._every

    def _forget(self, now: float) -> None:
        """Those whose attempts are past; if that is not enough, the half that made the fewest."""
        self._clear_at = {who: at for who, at in self._clear_at.items() if at > now}
        if len(self._clear_at) > self._most:
            worst = sorted(self._clear_at.items(), key=lambda item: item[1])[len(self._clear_at) // 2 :]
            self._clear_at = dict(worst)
