"""Tasks as S3Zipper's clients know them: what an id stands for, and the object that tells its state.

An archive is `zipper_s3_<uuid>` by the id of its job, a download `task_<uuid>` by that of its link, and the mail about
either `email_<uuid>`. Clients rename the keys that ids stand under, so they are known by value; and some leave out what
stands in front of the UUID.
"""

import re
import time
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from bucketzip.errors import BucketzipError, CredentialsExpired, KeysExpired
from bucketzip.jobs.model import State

MAX_IDS = 16
MAX_VALUES = 10_000
"""How much of a document is looked at."""

_ID = re.compile(r"\s*(?:([A-Za-z0-9_]{1,40})_)?([0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12})\s*", re.IGNORECASE)


class NoSuchTask(BucketzipError):
    """There is no such task. Send the answer of zipstart or streamzip as it came, or its id alone as zipID."""

    status = 404
    code = "no_such_task"


class Kind(StrEnum):
    """What stands in front of an id."""

    ARCHIVE = "zipper_s3"
    DOWNLOAD = "task"
    MAIL = "email"


class TaskState(StrEnum):
    """All that S3Zipper's clients know."""

    PENDING = "PENDING"
    RECEIVED = "RECEIVED"
    STARTED = "STARTED"
    RETRY = "RETRY"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"


OF_ARCHIVE = {
    State.QUEUED: TaskState.PENDING,
    State.PLANNING: TaskState.RECEIVED,
    State.RUNNING: TaskState.STARTED,
    State.FINISHING: TaskState.STARTED,
    State.SUCCEEDED: TaskState.SUCCESS,
    State.FAILED: TaskState.FAILURE,
    State.CANCELLED: TaskState.FAILURE,
}


class TaskId(NamedTuple):
    """An id of ours, as a job or a link has it, and whether the mail about that is meant."""

    id: str
    is_mail: bool


class Task(NamedTuple):
    """A task as it stands."""

    uuid: str
    name: str
    state: TaskState
    created_at: int
    result: str | None = None
    error: str = ""

    def as_json(self) -> dict[str, object]:
        """What zipstate answers."""
        return {
            "TaskUUID": self.uuid,
            "TaskName": self.name,
            "State": self.state,
            "Results": None if self.result is None else [{"Type": "string", "Value": self.result}],
            "Error": self.error,
            "CreatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.created_at)),
        }


def task_uuid(kind: Kind, our_id: str) -> str:
    """How clients know it."""
    return f"{kind}_{UUID(our_id)}"


def find_ids(document: object) -> list[TaskId]:
    """The ids in a document, in its order, wherever they stand."""
    found: list[TaskId] = []
    waiting = [document]
    for _ in range(MAX_VALUES):
        if not waiting or len(found) == MAX_IDS:
            break
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, str) and (match := _ID.fullmatch(value)):
            found.append(TaskId(UUID(match[2]).hex, (match[1] or "").lower() == Kind.MAIL))
    return found


def failure(error: BucketzipError) -> str:
    """The reason of a failure. Clients look for S3's own word where keys have expired."""
    expired = isinstance(error, CredentialsExpired | KeysExpired)
    return f"{'ExpiredToken' if expired else error.code}: {error}"
