"""The row of a job: what is known of it, and what may be written there by who runs it."""

import secrets
from dataclasses import dataclass
from typing import TypedDict

from bucketzip.state.job_states import State


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row. Times are seconds since 1970."""

    id: str
    owner: str
    idempotency_key: str | None = None
    request: str
    """The ArchiveRequest, as JSON."""
    request_digest: str
    priority: int = 0
    state: State = State.QUEUED
    error_code: str | None = None
    error_detail: str | None = None
    cancel_reason: str | None = None
    """Why it is to be cancelled; set while it may still run."""
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    runner: str | None = None
    """The process that runs it, by its name among `state.processes`."""
    bucket: str
    key: str
    token: str
    """Stands in the metadata of the object: it tells ours from any other of that key."""
    manifest: str | None = None
    copy_from: str = "[]"
    """The buckets that S3 copies from, as a JSON list. With the manifest it decides the parts."""
    no_copy: str = "[]"
    """The buckets that S3 turned out not to copy from, as a JSON list."""
    replans: int = 0
    """How often it was planned anew because objects had vanished."""
    creating_at: float | None = None
    """Since when an upload may have been begun that nobody has heard of."""
    upload_id: str | None = None
    checksums: bool | None = None
    """Whether the upload is one with a CRC-32 of the full object."""
    result_capability_hash: bytes | None = None
    """Of the link to what it makes."""
    bytes: int | None = None
    """Of the whole archive, or of the content of a compressed one; known once it is planned, like `entries`."""
    entries: int | None = None
    parts: int | None = None
    """Not known of a compressed archive."""
    copied_bytes_done: int = 0
    built_bytes_done: int = 0
    entries_done: int = 0
    pace_at: float | None = None
    """When `pace_bytes` bytes were done, some time ago: what the pace is measured from."""
    pace_bytes: int | None = None
    next_pace_at: float | None = None
    next_pace_bytes: int | None = None
    revision: int = 0
    notes: str = "[]"
    """What the owner should know, as a JSON list of texts."""
    result: str | None = None
    """What came of it, as JSON."""
    spent: str = "{}"
    """What it cost so far, as `jobs.spending` keeps it."""
    skipped: str = "{}"
    """What was left out of it, as `jobs.skipped` keeps it."""
    result_expires_at: int | None = None
    """When that link does; known once it has succeeded."""
    credential: str | None = None
    """Sealed, if it is not the server's; empty once it is of no use any more."""


class Changes(TypedDict, total=False):
    """What may be written into a job's row by who runs it."""

    error_code: str
    error_detail: str
    key: str
    manifest: str
    copy_from: str
    no_copy: str
    replans: int
    creating_at: float | None
    upload_id: str | None
    checksums: bool | None
    bytes: int
    entries: int
    parts: int | None
    copied_bytes_done: int
    built_bytes_done: int
    entries_done: int
    result: str
    spent: str
    skipped: str
    result_expires_at: int


def new_token() -> str:
    """128 random bits, for the metadata of the object."""
    return secrets.token_hex(16)
