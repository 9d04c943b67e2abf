"""Jobs: archives to be written into a bucket, from acceptance until some time after their end.

Every state change names the state that it starts from, so of two that come at once the second does nothing. `revision`
grows with every change that a watcher should see.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

from bucketzip.errors import ArchiveFinished, IdempotencyConflict, InvalidRequest
from bucketzip.state.database import Database
from bucketzip.state.deliveries import WAITS_OF_JOB, post_end_of_job
from bucketzip.state.job_row import Changes, Job, new_token
from bucketzip.state.job_states import FINAL, TAKEN, TRANSITIONS, State

__all__ = ["Changes", "Job", "Jobs", "Page", "new_token"]

PACE_SECONDS = 30.0
"""The pace of a job is that of the last so many to twice as many seconds."""


class Page(NamedTuple):
    """Some of the jobs."""

    jobs: list[Job]
    next: str | None
    """Where the next page starts; None for the last."""


_FIELDS = tuple(Job.__dataclass_fields__)
_COLUMNS = ", ".join(_FIELDS)
_FINAL = ", ".join(f"'{state}'" for state in FINAL)
_TAKEN = ", ".join(f"'{state}'" for state in TAKEN)


class Jobs:
    """The table of jobs. `clock` gives seconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def add(self, job: Job) -> Job:
        """Keep a new job, or return the one that came with its idempotency key before.

        Raises IdempotencyConflict where that one was another request.
        """
        fields = vars(job)
        marks = ", ".join(f":{name}" for name in fields)

        def run(connection: sqlite3.Connection) -> Job:
            before = connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE owner = :owner AND idempotency_key = :idempotency_key",  # noqa: S608  -- our own column names, here and below
                fields,
            ).fetchone()
            if before is None:
                connection.execute(f"INSERT INTO jobs ({_COLUMNS}) VALUES ({marks})", fields)  # noqa: S608
                return job
            if before["request_digest"] != job.request_digest:
                raise IdempotencyConflict
            return _job(before)

        return await self._database.run(run)

    async def get(self, job_id: str) -> Job | None:
        """The job of an id."""
        return await self._database.read(lambda connection: _get(connection, job_id))

    async def by_result(self, capability_hash: bytes) -> Job | None:
        """The job whose result has the link of a capability."""
        row = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE result_capability_hash = ?",  # noqa: S608
                (capability_hash,),
            ).fetchone()
        )
        return _job(row) if row else None

    async def page(
        self, *, owner: str | None = None, state: State | None = None, after: str | None = None, limit: int
    ) -> Page:
        """The newest first, of one owner or of all, `limit` at most, `after` the `next` of the page before.

        Raises InvalidRequest where it was none.
        """
        most = _number(after) if after is not None else None

        def run(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            return connection.execute(
                f"SELECT number, {_COLUMNS} FROM jobs"  # noqa: S608
                " WHERE (:owner IS NULL OR owner = :owner)"
                " AND (:state IS NULL OR state = :state) AND (:most IS NULL OR number < :most)"
                " ORDER BY number DESC LIMIT :limit",
                {"owner": owner, "state": state, "most": most, "limit": limit + 1},
            ).fetchall()

        rows = await self._database.read(run)
        return Page([_job(row) for row in rows[:limit]], _cursor(rows[limit - 1]["number"]) if rows[limit:] else None)

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

    async def spent(self, job_id: str, spent: str) -> None:
        """What it cost so far. Nobody who watches hears of it, and it waits for no disk."""
        await self._database.run(
            lambda connection: connection.execute(
                f"UPDATE jobs SET spent = ? WHERE id = ? AND state IN ({_TAKEN})",  # noqa: S608
                (spent, job_id),
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
            post_end_of_job(connection, job_id, now)
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
        """Forget jobs that ended so long ago, with their receipts; returns the manifests that others still need.

        One whose result has a link that works stays.
        """
        now = int(self._clock())

        def run(connection: sqlite3.Connection) -> set[str]:
            connection.execute(
                f"DELETE FROM jobs WHERE state IN ({_FINAL}) AND finished_at < ?"  # noqa: S608
                f" AND coalesce(result_expires_at, 0) <= ? AND NOT {WAITS_OF_JOB}",
                (now - kept_seconds, now),
            )
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
            if changed.rowcount and "finished_at" in fields:
                post_end_of_job(connection, job_id, fields["finished_at"])
            return _get(connection, job_id) if changed.rowcount else None

        return await self._database.run(run)


def _get(connection: sqlite3.Connection, job_id: str) -> Job | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()  # noqa: S608
    return _job(row) if row else None


def _job(row: sqlite3.Row) -> Job:
    fields = {name: row[name] for name in _FIELDS}
    checksums = fields["checksums"]
    return Job(
        **fields | {"state": State(fields["state"]), "checksums": None if checksums is None else bool(checksums)}
    )


def _cursor(number: int) -> str:
    return f"{number:x}"


def _number(cursor: str) -> int:
    try:
        number = int(cursor, 16)
    except ValueError:
        number = 0
    if not 0 < number < 1 << 63 or _cursor(number) != cursor:
        raise InvalidRequest("after: this is no `next` of an earlier answer")
    return number
