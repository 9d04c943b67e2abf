"""Jobs: archives to be written into a bucket, from acceptance until some time after their end.

Every state change names the state that it starts from, so of two that come at once the second does nothing. `revision`
grows with every change that a watcher should see.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from bucketzip.errors import ArchiveFinished, IdempotencyConflict, TooManyQueued
from bucketzip.state.database import Database
from bucketzip.state.job_states import FINAL, TAKEN, TRANSITIONS, State
from bucketzip.state.paging import Page, parse_after, read_page

PACE_SECONDS = 30.0
"""The pace of a job is that of the last so many to twice as many seconds."""


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
    bytes: int | None = None
    """Of the whole archive, like `entries` and `parts`; known once it is planned."""
    entries: int | None = None
    parts: int | None = None
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
    parts: int
    copied_bytes_done: int
    built_bytes_done: int
    entries_done: int
    result: str


def new_token() -> str:
    """128 random bits, for the metadata of the object."""
    return secrets.token_hex(16)


_FIELDS = tuple(Job.__dataclass_fields__)
_COLUMNS = ", ".join(_FIELDS)
_FINAL = ", ".join(f"'{state}'" for state in FINAL)
_TAKEN = ", ".join(f"'{state}'" for state in TAKEN)


class Jobs:
    """The table of jobs. `clock` gives seconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, job: Job, *, most_queued: int | None = None) -> Job:
        """Keep a new job, or return the one that came with its idempotency key before.

        Raises IdempotencyConflict where that one was another request, and TooManyQueued where the owner of a new one
        has so many already that wait.
        """
        fields = vars(job)
        marks = ", ".join(f":{name}" for name in fields)

        def run(connection: sqlite3.Connection) -> Job:
            before = connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE owner = :owner AND idempotency_key = :idempotency_key",  # noqa: S608  -- our own column names, here and below
                fields,
            ).fetchone()
            if before is None:
                if most_queued is not None and _queued(connection, job.owner) >= most_queued:
                    raise TooManyQueued(
                        f"{most_queued:,} archive jobs of yours wait already; ask again when some are done"
                    )
                connection.execute(f"INSERT INTO jobs ({_COLUMNS}) VALUES ({marks})", fields)  # noqa: S608
                return job
            if before["request_digest"] != job.request_digest:
                raise IdempotencyConflict
            return _job(before)

        return await self._database.run(run)

    async def get(self, job_id: str) -> Job | None:
        """The job of an id."""
        return await self._database.read(lambda connection: _get(connection, job_id))

    async def page(
        self, *, owner: str | None = None, state: State | None = None, after: str | None = None, limit: int
    ) -> Page[Job]:
        """The newest first, `limit` at most, `after` the `next` of the page before; None is everybody's, or any.

        Raises InvalidRequest where `after` was none.
        """
        most, conditions = parse_after(after), {"owner": owner, "state": state}
        rows = await self._database.read(
            lambda connection: read_page(
                connection,
                f"SELECT {_COLUMNS} FROM jobs",  # noqa: S608
                conditions,
                after=most,
                limit=limit,
            )
        )
        return Page([_job(row) for row in rows.items], rows.next)

    async def next_queued(self) -> Job | None:
        """The one to be run next: of the highest priority, the oldest."""
        row = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state = 'queued' ORDER BY priority DESC, number LIMIT 1"  # noqa: S608
            ).fetchone()
        )
        return _job(row) if row else None

    async def taken(self) -> list[Job]:
        """Those that a runner is at, or was when it died; the oldest first."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({_TAKEN}) ORDER BY number"  # noqa: S608
            ).fetchall()
        )
        return [_job(row) for row in rows]

    async def claim(self, job: Job, runner: str) -> Job | None:
        """Begin with a queued job: it is `planning` now. None where somebody was faster, or it was cancelled."""
        return await self._change(
            job.id, "state = 'queued'", state=State.PLANNING, runner=runner, started_at=int(self._clock())
        )

    async def adopt(self, job: Job, runner: str) -> Job | None:
        """Take over a job whose runner died, where it stands. None where somebody was faster."""
        return await self._change(
            job.id,
            f"state IN ({_TAKEN}) AND runner IS :runner_before",
            {"runner_before": job.runner},
            runner=runner,
            pace_at=None,
        )

    async def transition(self, job_id: str, before: State, after: State, **changes: Unpack[Changes]) -> Job | None:
        """Bring a job from one state into another; None where it is not in the state `before`.

        Raises ValueError for a step that no job takes.
        """
        if after not in TRANSITIONS[before]:
            raise ValueError(f"no job goes from {before} to {after}")
        times: dict[str, Any] = {"pace_at": None} | ({"finished_at": int(self._clock())} if after.is_final else {})
        return await self._change(job_id, "state = :before", {"before": before}, state=after, **times, **changes)

    async def record(self, job_id: str, **changes: Unpack[Changes]) -> Job | None:
        """Write down what was found out or made, within a state; None where the job is over."""
        return await self._change(job_id, f"state NOT IN ({_FINAL})", **changes)

    async def note(self, job_id: str, text: str) -> None:
        """Tell the owner something, once."""

        def run(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT notes FROM jobs WHERE id = ?", (job_id,)).fetchone()
            notes = json.loads(row["notes"]) if row else [text]
            if text not in notes:
                connection.execute(
                    "UPDATE jobs SET notes = ?, revision = revision + 1 WHERE id = ?",
                    (json.dumps([*notes, text]), job_id),
                )

        await self._database.run(run)

    async def progress(self, job_id: str, *, copied_bytes: int, built_bytes: int, entries: int) -> None:
        """How much is done by now, in all. Waits for no disk: the receipts know it too."""
        values = {
            "id": job_id,
            "copied": copied_bytes,
            "built": built_bytes,
            "entries": entries,
            "now": self._clock(),
            "pace": PACE_SECONDS,
        }
        first, due = "pace_at IS NULL", ":now - next_pace_at >= :pace"
        await self._database.run(
            lambda connection: connection.execute(
                "UPDATE jobs SET copied_bytes_done = :copied, built_bytes_done = :built, entries_done = :entries,"  # noqa: S608
                f" pace_at = CASE WHEN {first} THEN :now WHEN {due} THEN next_pace_at ELSE pace_at END,"
                f" pace_bytes = CASE WHEN {first} THEN :copied + :built WHEN {due} THEN next_pace_bytes"
                " ELSE pace_bytes END,"
                f" next_pace_at = CASE WHEN {first} OR {due} THEN :now ELSE next_pace_at END,"
                f" next_pace_bytes = CASE WHEN {first} OR {due} THEN :copied + :built ELSE next_pace_bytes END,"
                f" revision = revision + 1 WHERE id = :id AND state IN ({_TAKEN})",
                values,
            ),
            durable=False,
        )

    async def request_cancel(self, job_id: str, reason: str) -> Job | None:
        """Ask for the end of a job: a queued one is `cancelled` on return, else its runner sees to it.

        The first reason stays. None where there is no such job; raises ArchiveFinished for one that is over.
        """
        now = int(self._clock())

        def run(connection: sqlite3.Connection) -> Job | None:
            job = _get(connection, job_id)
            if job is not None and job.state.is_final:
                raise ArchiveFinished(f"this archive job is over: it is {job.state}")
            connection.execute(
                "UPDATE jobs SET cancel_reason = ?, revision = revision + 1 WHERE id = ? AND cancel_reason IS NULL",
                (reason, job_id),
            )
            connection.execute(
                "UPDATE jobs SET state = 'cancelled', finished_at = ? WHERE id = ? AND state = 'queued'", (now, job_id)
            )
            return _get(connection, job_id)

        return await self._database.run(run)

    async def upload_ids(self) -> set[str]:
        """Of the uploads that belong to jobs."""
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT upload_id FROM jobs WHERE upload_id IS NOT NULL").fetchall()
        )
        return {row["upload_id"] for row in rows}

    async def with_leftovers(self) -> list[Job]:
        """Those that are over, but of whose uploads it is not known that they are gone."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({_FINAL})"  # noqa: S608
                " AND (upload_id IS NOT NULL OR creating_at IS NOT NULL) ORDER BY number"
            ).fetchall()
        )
        return [_job(row) for row in rows]

    async def undone(self, job_id: str) -> None:
        """Nothing of a job that is over is left in S3."""
        await self._change(job_id, f"state IN ({_FINAL})", upload_id=None, creating_at=None)

    async def counts(self) -> dict[State, int]:
        """How many jobs there are in each state."""
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT state, count(*) AS jobs FROM jobs GROUP BY state").fetchall()
        )
        return dict.fromkeys(State, 0) | {State(row["state"]): row["jobs"] for row in rows}

    async def sweep(self, kept_seconds: int) -> set[str]:
        """Forget jobs that ended so long ago, with their receipts; returns the manifests that others still need."""
        before = int(self._clock()) - kept_seconds

        def run(connection: sqlite3.Connection) -> set[str]:
            connection.execute(f"DELETE FROM jobs WHERE state IN ({_FINAL}) AND finished_at < ?", (before,))  # noqa: S608
            rows = connection.execute(
                f"SELECT DISTINCT manifest FROM jobs WHERE state IN ({_TAKEN}) AND manifest IS NOT NULL"  # noqa: S608
            )
            return {row["manifest"] for row in rows}

        return await self._database.run(run)

    async def _change(
        self, job_id: str, condition: str, values: dict[str, str | None] | None = None, **fields: Any
    ) -> Job | None:
        """Write fields where the condition holds; None where it does not."""
        changes = "".join(f"{name} = :{name}, " for name in fields)

        def run(connection: sqlite3.Connection) -> Job | None:
            changed = connection.execute(
                f"UPDATE jobs SET {changes}revision = revision + 1 WHERE id = :id AND {condition}",  # noqa: S608
                {**fields, **(values or {}), "id": job_id},
            )
            return _get(connection, job_id) if changed.rowcount else None

        return await self._database.run(run)


def _get(connection: sqlite3.Connection, job_id: str) -> Job | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()  # noqa: S608
    return _job(row) if row else None


def _queued(connection: sqlite3.Connection, owner: str) -> int:
    query = "SELECT count(*) FROM jobs WHERE owner = ? AND state = 'queued'"
    return int(connection.execute(query, (owner,)).fetchone()[0])


def _job(row: sqlite3.Row) -> Job:
    fields = {name: row[name] for name in _FIELDS}
    checksums = fields["checksums"]
    return Job(
        **fields | {"state": State(fields["state"]), "checksums": None if checksums is None else bool(checksums)}
    )
