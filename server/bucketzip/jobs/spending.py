"""What a job costs: seconds in each of its phases, and requests to S3; added up through restarts and new plans.

A request is counted where it is sent, tries included, for the job that is worked on there: a context variable tells
which, since tasks inherit it. What is lost when a process is killed is what it had not written down, a second's worth.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bucketzip.state.job_states import State


class Spending:
    """Of one job. `spent` is what its row tells; `clock` gives monotonic seconds."""

    def __init__(self, spent: str = "{}", clock: Callable[[], float] = time.monotonic) -> None:
        before = json.loads(spent)
        self._seconds: dict[str, float] = before.get("seconds", {})
        self._requests = Counter[str](before.get("requests", {}))
        self._clock = clock
        self._phase: State | None = None
        self._since = clock()

    def enter(self, phase: State) -> None:
        """The job is in this state from now on."""
        self._settle()
        self._phase = phase

    def count(self, operation: str) -> None:
        """A request was sent, by its name in the API reference."""
        self._requests[operation] += 1

    def phases(self) -> dict[str, float]:
        """Seconds until now by state."""
        self._settle()
        return {phase: round(seconds, 3) for phase, seconds in self._seconds.items()}

    def requests(self) -> dict[str, int]:
        """How many were sent until now by operation."""
        return dict(sorted(self._requests.items()))

    def as_json(self) -> str:
        """For the row."""
        return json.dumps({"seconds": self.phases(), "requests": self.requests()})

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is sent meanwhile, by this task and those that it starts."""
        token = _counting.set(self)
        try:
            yield
        finally:
            _counting.reset(token)

    def _settle(self) -> None:
        now = self._clock()
        if self._phase is not None:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._since = now


_counting: ContextVar[Spending | None] = ContextVar("counting", default=None)


def counted_here() -> Spending | None:
    """Who counts the requests that are sent here."""
    return _counting.get()
