"""One byte budget for all that is read and not yet sent, shared fairly by the downloads of this process.

Rules:

1.  Every download has a reserve, set aside when it joins, so the head of every download always moves. As many are
    admitted as there are reserves.
2.  The rest is shared. While nobody wants for memory, a download may take all of it; as soon as one below its fair
    share is refused, nobody takes more than that.
3.  A download above its fair share that makes no progress gives back what it read ahead when another is refused
    (`shed`): it rather reads those bytes again than starves the others.

A range is reserved whole when it starts, so what waits for it in the kernel's buffers is counted too.
"""

from collections.abc import Callable

from bucketzip.errors import TooBusy
from bucketzip.transfer.blocks import SMALL_BLOCK_BYTES

RESERVE_BYTES = 2 * SMALL_BLOCK_BYTES
"""One small block on its way out, one on its way in."""

STALLED_SECONDS = 1.0


class Share:
    """What one download holds. `wake` is called when memory may have come free after a refusal."""

    def __init__(
        self, budget: "Budget", *, wake: Callable[[], None], shed: Callable[[], None], now: Callable[[], float]
    ) -> None:
        self.used_bytes = 0
        self._budget = budget
        self._now = now
        self.wake = wake
        self.shed = shed
        self.progress_at = now()

    def take(self, count: int) -> bool:
        """Reserve memory, or say no."""
        return self._budget.take(self, count)

    def give_back(self, count: int) -> None:
        """Memory is free again, because its bytes went out."""
        self.progress_at = self._now()
        self._budget.give_back(self, count)

    def drop(self, count: int) -> None:
        """Memory is free again, without its bytes having gone out."""
        self._budget.give_back(self, count)

    def stalled(self) -> bool:
        """Whether nothing has gone out for a while."""
        return self._now() - self.progress_at > STALLED_SECONDS

    def leave(self) -> None:
        """The download is over; all its memory has been given back."""
        self._budget.leave(self)


class Budget:
    """The budget of this process, in bytes. `now` is a monotonic clock in seconds."""

    def __init__(self, total_bytes: int, *, now: Callable[[], float]) -> None:
        self.total_bytes = total_bytes
        self._now = now
        self._shares: list[Share] = []
        self._hungry: set[Share] = set()
        self._committed = 0  # sum over shares of max(used, reserve)

    @property
    def used_bytes(self) -> int:
        """What is in flight and buffered now."""
        return sum(share.used_bytes for share in self._shares)

    @property
    def hungry(self) -> int:
        """How many downloads below their fair share were refused more."""
        return len(self._hungry)

    @property
    def fair_bytes(self) -> int:
        """What each download may have when all want more."""
        return self.total_bytes // max(1, len(self._shares))

    def join(self, *, wake: Callable[[], None], shed: Callable[[], None]) -> Share:
        """Admit a download; raises TooBusy when there is no reserve left for it."""
        if (len(self._shares) + 1) * RESERVE_BYTES > self.total_bytes:
            raise TooBusy
        share = Share(self, wake=wake, shed=shed, now=self._now)
        self._shares.append(share)
        self._committed += RESERVE_BYTES  # may overshoot for a moment, until the others have sent what they hold
        self._reclaim(0)
        return share

    def leave(self, share: Share) -> None:
        """Let go of a download."""
        self._shares.remove(share)
        self._hungry.discard(share)
        self._committed -= max(share.used_bytes, RESERVE_BYTES)
        self._feed()

    def take(self, share: Share, count: int) -> bool:
        """Reserve `count` bytes for the share by the rules above."""
        after = share.used_bytes + count
        if after > RESERVE_BYTES:
            more = after - max(share.used_bytes, RESERVE_BYTES)
            fair = after <= self.fair_bytes
            others_hungry = bool(self._hungry - {share})
            if fair and self._committed + more > self.total_bytes:
                self._reclaim(more)
            if self._committed + more > self.total_bytes or (others_hungry and not fair):
                if fair:
                    self._hungry.add(share)
                return False
            self._committed += more
        share.used_bytes = after
        self._hungry.discard(share)
        return True

    def give_back(self, share: Share, count: int) -> None:
        """Return `count` bytes of the share."""
        before = max(share.used_bytes, RESERVE_BYTES)
        share.used_bytes -= count
        assert share.used_bytes >= 0
        freed = before - max(share.used_bytes, RESERVE_BYTES)
        if freed:
            self._committed -= freed
            self._feed()

    def _reclaim(self, count: int) -> None:
        """Have stalled downloads above their fair share give back what they read ahead, the largest first."""
        for share in sorted(self._shares, key=lambda each: -each.used_bytes):
            if share.used_bytes <= self.fair_bytes or self._committed + count <= self.total_bytes:
                return
            if share.stalled():
                share.shed()

    def _feed(self) -> None:
        for share in list(self._hungry):
            share.wake()
