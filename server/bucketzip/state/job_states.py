"""The states of a job, and the one table of what may follow what."""

from enum import StrEnum


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    """Accepted; nothing was done for it."""
    PLANNING = "planning"
    """What goes into the archive is being found out."""
    RUNNING = "running"
    """Its parts are being copied and built."""
    FINISHING = "finishing"
    """All parts are there; the archive is being put together and looked at."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether it is over; one that failed for its credentials may be resumed all the same."""
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED}


TRANSITIONS: dict[State, frozenset[State]] = {
    # One that was resumed, and has an upload, is running at once.
    State.QUEUED: frozenset({State.PLANNING, State.RUNNING, State.CANCELLED}),
    State.PLANNING: frozenset({State.RUNNING, State.FAILED, State.CANCELLED}),
    # Back to planning where an object vanished that may be left out, or where the upload did.
    State.RUNNING: frozenset({State.FINISHING, State.PLANNING, State.FAILED, State.CANCELLED}),
    # Back to running where S3 has lost a part.
    State.FINISHING: frozenset({State.SUCCEEDED, State.RUNNING, State.PLANNING, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),  # with new credentials
    State.CANCELLED: frozenset(),
}

FINAL = tuple(state for state in State if state.is_final)
TAKEN = (State.PLANNING, State.RUNNING, State.FINISHING)
"""A runner is at it, or was when it died."""
