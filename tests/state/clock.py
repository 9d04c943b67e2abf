"""A clock that stands still until a test moves it."""

from tests.jobs.making import NOW


class Clock:
    """Seconds since 1970."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now
