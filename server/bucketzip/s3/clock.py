"""The time as S3 sees it: signatures are refused when this machine's clock is wrong by more than 15 minutes."""

import logging
import time
from datetime import UTC, datetime
from email.utils import format_datetime

_log = logging.getLogger(__name__)


class SigningClock:
    """This machine's clock, put right by what S3 says."""

    def __init__(self) -> None:
        self._offset_seconds = 0.0
        self._stamp: tuple[int, str] = (0, "")

    def stamp(self) -> str:
        """Now, as a signature has it; made once a second."""
        now = int(time.time() + self._offset_seconds)
        if self._stamp[0] != now:
            self._stamp = (now, datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ"))
        return self._stamp[1]

    def set(self, now: float) -> None:
        """S3 says that it is so many seconds since 1970."""
        offset_seconds = now - time.time()
        if abs(offset_seconds - self._offset_seconds) > 1.0:  # once for all requests that were under way
            there = format_datetime(datetime.fromtimestamp(now, UTC))
            _log.warning("this machine's clock is wrong: S3 says %s; set it (chrony)", there)
        self._offset_seconds = offset_seconds
