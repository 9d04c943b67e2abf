"""When a failed ranged GET is tried again: pure decisions about one read."""

import random
import ssl
from dataclasses import dataclass

from bucketzip.errors import KeysExpired, S3Unreachable
from bucketzip.s3.errors import EXPIRED_CODES, WRONG_REGION_CODES
from bucketzip.s3.head import Malformed
from bucketzip.s3.rangeget import Refused

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
_SERVER_ERROR = 500
_REDIRECTS = frozenset({301, 302, 307, 308})


class Crawling(TimeoutError):
    """A connection brings bytes, but far fewer than others do. Nothing failed: the read is moved to another."""


@dataclass(frozen=True)
class Again:
    """Try again after a pause, and what to mend before."""

    reason: str
    pause_seconds: float = 0.0
    renew_credentials: bool = False
    set_clock: float | None = None
    find_region: bool = False


@dataclass
class Tries:
    """The history of one read. Progress forgives failures: a read that goes on may go on for ever."""

    most: int
    slow_down_seconds: float = 0.0
    """How long SlowDown is put up with, however often. It is said to everybody, and says nothing of this read."""
    failures: int = 0
    at_byte: int = 0
    mended: frozenset[str] = frozenset()
    slow_downs: int = 0
    slow_since: float = 0.0

    def failed(self, error: Exception, *, received: int, reused_and_silent: bool, now: float) -> Again | None:
        """What to do about a failure after `received` bytes in all; None when there is nothing to do.

        `reused_and_silent`: the connection had served before and brought no byte of this answer, so it had most likely
        been closed while idle, which is nobody's fault.
        """
        if received > self.at_byte:
            self.at_byte, self.failures, self.slow_downs = received, 0, 0
        if isinstance(error, Crawling):
            return Again("crawl")
        if isinstance(error, Refused) and error.slow_down:
            return self._slowed_down(now)
        if mend := _mend(error, reused_and_silent=reused_and_silent):
            if mend.reason not in self.mended:
                self.mended |= {mend.reason}
                return mend
        elif _is_final(error):
            return None
        # What was mended once, and did not get better, counts as any other failure.
        self.failures += 1
        if self.failures >= self.most:
            return None
        return Again(mend.reason if mend else _reason(error), pause_seconds(self.failures))

    def _slowed_down(self, now: float) -> Again | None:
        if not self.slow_downs:
            self.slow_since = now
        self.slow_downs += 1
        if self.slow_downs >= self.most and now - self.slow_since >= self.slow_down_seconds:
            return None
        return Again("slow_down", pause_seconds(self.slow_downs))


def _mend(error: Exception, *, reused_and_silent: bool) -> Again | None:
    """What can be done about a failure at once."""
    if isinstance(error, Refused):
        if error.code in EXPIRED_CODES and not isinstance(error.error, KeysExpired):
            return Again("credentials", renew_credentials=True)
        if error.code == "RequestTimeTooSkewed" and (now := error.server_time()) is not None:
            return Again("clock", set_clock=now)
        if error.status in _REDIRECTS or error.code in WRONG_REGION_CODES:
            return Again("region", find_region=True)
    elif reused_and_silent and not isinstance(error, Malformed | TimeoutError):
        return Again("idle_connection")
    return None


def _is_final(error: Exception) -> bool:
    """Whether the same request would fail the same way again."""
    if isinstance(error, Refused):
        return error.status < _SERVER_ERROR and not isinstance(error.error, S3Unreachable)
    return isinstance(error, ssl.SSLCertVerificationError)


def pause_seconds(failures: int) -> float:
    """Exponential back-off with full jitter, never shorter than a tenth of its length."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 100))  # floats have an end
    return longest * random.uniform(0.1, 1.0)  # noqa: S311  -- spreads load, keeps no secret


def _reason(error: Exception) -> str:
    if isinstance(error, Refused):
        return "s3_error"
    if isinstance(error, Malformed):
        return "malformed"
    return "stall" if isinstance(error, TimeoutError) else "connection"
