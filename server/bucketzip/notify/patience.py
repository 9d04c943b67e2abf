"""When a delivery is tried again. Pure."""

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 3600.0
GIVEN_UP_SECONDS = 86_400.0
"""After so long there is one attempt more, and no other."""


def next_attempt_at(
    created_at: float, tries: int, now: float, retry_after_seconds: float, random: float
) -> float | None:
    """The time of the next attempt after `tries` that failed; None to give up. Times are seconds since 1970.

    Pauses double from one to the next, up to an hour. `random`, in [0, 1), takes up to a quarter off, so that what
    failed together does not come again together. A receiver may ask for more, up to the end of the day.
    """
    last_at = created_at + GIVEN_UP_SECONDS
    if now >= last_at:
        return None
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(tries - 1, 30))
    return min(last_at, now + max(pause * (1 - random / 4), retry_after_seconds))
