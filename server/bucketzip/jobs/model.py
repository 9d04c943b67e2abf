"""A job as its owner sees it: where it stands, how far it is, and what came of it.

Pure: `now` is a parameter, in seconds since 1970.
"""

import json
import math
import time
from collections.abc import Iterable
from typing import NamedTuple

from bucketzip.jobs import skipped
from bucketzip.plan.remedies import Spell, as_fields, remedied
from bucketzip.state.deliveries import Delivery
from bucketzip.state.job_states import TRANSITIONS, State
from bucketzip.state.jobs import Job

__all__ = ["TRANSITIONS", "Job", "Progress", "State", "as_json", "error_detail", "progress"]

LEAST_PACE_SECONDS = 1.0
"""A pace that was measured for less says nothing."""


class Progress(NamedTuple):
    """How far a job is. What nobody knows yet is None."""

    bytes: int
    """Of the archive, done."""
    of_bytes: int | None
    entries: int
    of_entries: int | None
    copied_bytes: int
    """Of those done: by S3 itself."""
    built_bytes: int
    """Of those done: through this host."""
    bytes_per_second: int | None
    """Of the last half minute to minute."""
    seconds_left: int | None


def progress(job: Job, now: float) -> Progress:
    """How far the job is at the time `now`."""
    done = job.copied_bytes_done + job.built_bytes_done
    pace = _pace(job, done, now)
    left = None if job.bytes is None else max(0, job.bytes - done)
    return Progress(
        bytes=done,
        of_bytes=job.bytes,
        entries=job.entries_done,
        of_entries=job.entries,
        copied_bytes=job.copied_bytes_done,
        built_bytes=job.built_bytes_done,
        bytes_per_second=None if pace is None else int(pace),
        seconds_left=math.ceil(left / pace) if pace and left is not None else None,
    )


def as_json(
    job: Job,
    now: float,
    *,
    link: str | None = None,
    most_skipped: int = skipped.MOST_NAMED,
    spell: Spell = as_fields,
    deliveries: Iterable[Delivery] = (),
) -> dict[str, object]:
    """For programs. `link` leads to what it made; of what was left out, at most `most_skipped` are named.

    `spell` is how whoever asked writes the fields of a request; `deliveries` are those that tell of its end.
    """
    return {
        "id": job.id,
        "state": job.state,
        "destination": f"s3://{job.bucket}/{job.key}",
        "created_at": _utc(job.created_at),
        "started_at": _utc(job.started_at),
        "finished_at": _utc(job.finished_at),
        "progress": progress(job, now)._asdict(),
        "error": {"code": job.error_code, "detail": error_detail(job, spell)} if job.error_code else None,
        "cancel_reason": job.cancel_reason,
        "notes": json.loads(job.notes),
        "result": _result(job, job.result, link, most_skipped) if job.result else None,
        "deliveries": [delivery.as_json() for delivery in deliveries],
    }


def error_detail(job: Job, spell: Spell) -> str:
    """What a job failed with, and what may be asked for instead."""
    return remedied(job.error_code or "", job.error_detail or "", json.loads(job.request), spell)


def _result(job: Job, result: str, link: str | None, most_skipped: int) -> dict[str, object]:
    return {
        **json.loads(result),
        "skipped": skipped.told(job.skipped, most_skipped),
        "link": link,
        "link_expires_at": _utc(job.result_expires_at) if link else None,
    }


def _pace(job: Job, done: int, now: float) -> float | None:
    """Bytes a second; None where the job does not run, or not for long enough."""
    if job.state is not State.RUNNING or job.pace_at is None or job.pace_bytes is None:
        return None
    seconds = now - job.pace_at
    return max(0, done - job.pace_bytes) / seconds if seconds >= LEAST_PACE_SECONDS else None


def _utc(seconds: int | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
