"""What the id of a task stands for, to be told about and waited for."""

from typing import Protocol

from bucketzip.errors import BucketzipError
from bucketzip.web.s3zipper.tasks import Task


class StillRunning(BucketzipError):
    """This server stops now, and the task goes on when it is back. Ask again in a moment."""

    status = 503
    code = "still_running"
    retryable = True
    retry_after_seconds = 5


class Found(Protocol):
    """An archive or a mail, whoever makes it."""

    def task(self) -> Task:
        """How it stands."""

    async def result(self) -> str:
        """What comes of it, once it is over; raises what it ended with instead, and StillRunning."""
