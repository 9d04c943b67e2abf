"""Times as answers have them."""

import time


def utc(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601, to the second; None stays None."""
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
