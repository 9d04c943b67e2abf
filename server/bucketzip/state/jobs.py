"""Jobs: archives to be written into a bucket, from acceptance until some time after their end.

Every state change names the state that it starts from, so of two that come at once the second does nothing. `revision`
grows with every change that a watcher should see.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

from bucketzip.errors import (
    ArchiveFinished,
    CredentialsExpired,
    IdempotencyConflict,
    KeysExpired,
    KeysRefused,
    NotResumable,
    RoleRefused,
    TooManyQueued,
)
from bucketzip.state.database import Database
from bucketzip.state.deliveries import WAITS_OF_JOB, post_end_of_job
from bucketzip.state.job_row import Changes, Job, new_token
from bucketzip.state.job_states import FINAL, TAKEN, TRANSITIONS, State
from bucketzip.state.paging import Page, parse_after, read_page

__all__ = ["Changes", "Job", "Jobs", "Waits", "new_token"]

PACE_SECONDS = 30.0
"""The pace of a job is that of the last so many to twice as many seconds."""


class Waits(NamedTuple):
    """How long jobs have been waiting, in seconds; 0 where there is none."""

    queued: float
    """The oldest that no runner has taken yet."""
    still: float
    """The one under way that has not moved for longest, to within `PACE_SECONDS`."""


RESUMABLE = frozenset({CredentialsExpired.code, KeysExpired.code, KeysRefused.code, RoleRefused.code})
"""Errors of credentials: with others the job may go on where it stood."""

_FIELDS = tuple(Job.__dataclass_fields__)
_COLUMNS = ", ".join(_FIELDS)
_FINAL = ", ".join(f"'{state}'" for state in FINAL)
_TAKEN = ", ".join(f"'{state}'" for state in TAKEN)
_HELD = (
    "(state = 'failed' AND credential <> '' AND finished_at > :held_since AND error_code IN ("
    + ", ".join(f"'{code}'" for code in sorted(RESUMABLE))
    + "))"
)
"""Waits for other credentials, with its upload and its receipts."""


class Jobs:
    """The table of jobs. `clock` gives seconds since 1970.

    One that failed for its credentials may be resumed for `resume_seconds`.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, *, resume_seconds: int = 86_400
    ) -> None:
        self._database = database
        self._clock = clock
        self._resume_seconds = resume_seconds

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
        """Begin with a queued job: it is `planning` now, or `running` if it was resumed and has an upload.

        None where somebody was faster, or it was cancelled.
        """
        state = State.RUNNING if job.upload_id and job.manifest else State.PLANNING
        started_at = job.started_at or int(self._clock())
        return await self._change(job.id, "state = 'queued'", state=state, runner=runner, started_at=started_at)

    async def resume(self, job_id: str, sealed: str) -> Job | None:
        """Queue a job again that failed for its credentials, with others.

        None where there is no such job; raises NotResumable.
        """

        def run(connection: sqlite3.Connection) -> Job | None:
            resumed = connection.execute(
                "UPDATE jobs SET state = 'queued', credential = :sealed, finished_at = NULL, runner = NULL,"  # noqa: S608
                " error_code = NULL, error_detail = NULL, cancel_reason = NULL, revision = revision + 1"
                f" WHERE id = :id AND {_HELD}",
                {"id": job_id, "sealed": sealed, "held_since": self._held_since},
            )
            job = _get(connection, job_id)
            if job is not None and not resumed.rowcount:
                raise NotResumable
            return job

        return await self._database.run(run)

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
        times: dict[str, Any] = {"pace_at": None, "finished_at": int(self._clock()) if after.is_final else None}
        job = await self._change(job_id, "state = :before", {"before": before}, state=after, **times, **changes)
        if after in {State.FAILED, State.CANCELLED}:
            await self._forget_credentials()
        return job

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
                raise ArchiveFinished(f"this archive job is over ({job.state})")
            connection.execute(
                "UPDATE jobs SET cancel_reason = ?, revision = revision + 1 WHERE id = ? AND cancel_reason IS NULL",
                (reason, job_id),
            )
            connection.execute(
                "UPDATE jobs SET state = 'cancelled', finished_at = ? WHERE id = ? AND state = 'queued'", (now, job_id)
            )
            post_end_of_job(connection, job_id, now)
            return _get(connection, job_id)

        job = await self._database.run(run)
        if job is not None and job.state.is_final:
            await self._forget_credentials()
        return job

    async def upload_ids(self) -> set[str]:
        """Of the uploads that belong to jobs."""
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT upload_id FROM jobs WHERE upload_id IS NOT NULL").fetchall()
        )
        return {row["upload_id"] for row in rows}

    async def with_leftovers(self) -> list[Job]:
        """Those that are over, but of whose uploads it is not known that they are gone.

        None of those that may be resumed.
        """
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({_FINAL}) AND {_HELD} IS NOT TRUE"  # noqa: S608
                " AND (upload_id IS NOT NULL OR creating_at IS NOT NULL) ORDER BY number",
                {"held_since": self._held_since},
            ).fetchall()
        )
        return [_job(row) for row in rows]

    async def undone(self, job_id: str) -> None:
        """Nothing of a job that is over is left in S3."""
        await self._change(job_id, f"state IN ({_FINAL})", upload_id=None, creating_at=None)
        await self._forget_credentials()

    async def counts(self) -> dict[State, int]:
        """How many jobs there are in each state."""
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT state, count(*) AS jobs FROM jobs GROUP BY state").fetchall()
        )
        return dict.fromkeys(State, 0) | {State(row["state"]): row["jobs"] for row in rows}

    async def waits(self) -> Waits:
        """How long the oldest queued job waits, and how long one under way stands still."""
        row = await self._database.read(
            lambda connection: connection.execute(
                # One that was resumed is queued again: how long, nobody wrote down.
                "SELECT min(CASE WHEN state = 'queued' AND started_at IS NULL THEN created_at END) AS queued,"  # noqa: S608
                f" min(CASE WHEN state IN ({_TAKEN}) THEN max(started_at, coalesce(next_pace_at, 0)) END) AS still"
                f" FROM jobs WHERE state NOT IN ({_FINAL})"
            ).fetchone()
        )
        now = self._clock()
        return Waits(*(0.0 if since is None else max(0.0, now - since) for since in row))

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
                "SELECT DISTINCT manifest FROM jobs WHERE manifest IS NOT NULL"  # noqa: S608
                f" AND (state NOT IN ({_FINAL}) OR {_HELD})",
                {"held_since": self._held_since},
            )
            return {row["manifest"] for row in rows}

        needed = await self._database.run(run)
        await self._forget_credentials()
        return needed

    @property
    def _held_since(self) -> float:
        return self._clock() - self._resume_seconds

    async def _forget_credentials(self) -> None:
        """Those of jobs that are over, have nothing left in S3 and whose result nobody can fetch with them."""
        values = {"now": self._clock(), "held_since": self._held_since}
        await self._database.run(
            lambda connection: connection.execute(
                f"UPDATE jobs SET credential = '' WHERE credential <> '' AND state IN ({_FINAL})"  # noqa: S608
                f" AND upload_id IS NULL AND creating_at IS NULL AND {_HELD} IS NOT TRUE"
                " AND NOT (state = 'succeeded' AND coalesce(result_expires_at, 0) > :now)",
                values,
            )
        )

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


def _queued(connection: sqlite3.Connection, owner: str) -> int:
    query = "SELECT count(*) FROM jobs WHERE owner = ? AND state = 'queued'"
    return int(connection.execute(query, (owner,)).fetchone()[0])


def _job(row: sqlite3.Row) -> Job:
    fields = {name: row[name] for name in _FIELDS}
    checksums = fields["checksums"]
    return Job(
        **fields | {"state": State(fields["state"]), "checksums": None if checksums is None else bool(checksums)}
    )
