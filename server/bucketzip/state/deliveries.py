"""What is to be told to somebody outside, once a job or a plan has come to its end: an outbox.

An entry is written in the transaction that writes that end, so a crash loses none; and it waits here until it was
delivered or given up. What it says is not kept: it is made of the job or the link when it is sent, since it holds a
capability.
"""

import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

from bucketzip.state.database import Database


class Kind(StrEnum):
    """How somebody is told."""

    CALLBACK = "callback"
    EMAIL = "email"


class State(StrEnum):
    """What became of it."""

    WAITING = "waiting"
    """For its first attempt, or for the next."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up."""


class Attempt(NamedTuple):
    """One try to deliver."""

    at: int
    """Seconds since 1970."""
    outcome: str
    """For people: `HTTP 503`, `no answer within 15 s`."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One row. Times are seconds since 1970."""

    id: str
    """The same at every attempt: by it a receiver knows what it has had already."""
    job_id: str | None
    link_id: str | None
    """One of the two is set."""
    kind: Kind
    target: str
    """A URL or an address."""
    event: str
    """`archive.succeeded`, `download.failed` ..."""
    state: State
    attempts: tuple[Attempt, ...]
    created_at: int
    next_at: float | None
    """When it is tried next; None unless it waits."""

    @property
    def about(self) -> str:
        """The id of the job or of the link."""
        about = self.job_id or self.link_id
        assert about is not None
        return about

    @property
    def to(self) -> str:
        """Whom it goes to, for others to see: a callback's URL may be a secret, so of that only the host."""
        return self.target if self.kind is Kind.EMAIL else urlsplit(self.target).hostname or ""

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "id": self.id,
            "kind": self.kind,
            "to": self.to,
            "event": self.event,
            "state": self.state,
            "attempts": [{"at": _utc(at), "outcome": outcome} for at, outcome in self.attempts],
            "next_at": None if self.next_at is None else _utc(self.next_at),
        }


WAITS_OF_JOB = "EXISTS (SELECT 1 FROM deliveries WHERE job_id = jobs.id AND deliveries.state = 'waiting')"
"""SQL: the end of the job was not told yet."""


def _post(table: str, column: str, event: str, over: str) -> str:
    """SQL: an entry for each whom the request of a row names, once that row is over."""
    return (
        f"INSERT INTO deliveries (id, {column}, kind, target, event, state, created_at, next_at)"  # noqa: S608  -- our own names
        f" SELECT lower(hex(randomblob(16))), {table}.id, way.column1, json_extract(request, way.column2),"
        f" '{event}.' || {table}.state, 'waiting', :now, :now"
        f" FROM {table}, (VALUES ('callback', '$.callback_url'), ('email', '$.email')) AS way"
        f" WHERE {table}.id = :about AND {over} AND json_extract(request, way.column2) IS NOT NULL"
    )


_POST_JOB = _post("jobs", "job_id", "archive", "finished_at IS NOT NULL")
_POST_LINK = _post("links", "link_id", "download", "state <> 'planning'")


def post_end_of_job(connection: sqlite3.Connection, job_id: str, now: int) -> None:
    """Within the transaction that ends a job: tell whom its request names. One that is not over is left alone."""
    connection.execute(_POST_JOB, {"about": job_id, "now": now})


def post_end_of_planning(connection: sqlite3.Connection, link_id: str, now: int) -> None:
    """Within the transaction that ends the planning of a link: tell whom its request names."""
    connection.execute(_POST_LINK, {"about": link_id, "now": now})


_COLUMNS = "id, job_id, link_id, kind, target, event, state, attempts, created_at, next_at"


class Deliveries:
    """The table of deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, about: str) -> list[Delivery]:
        """Those of a job or a link, by its id."""
        return (await self.of_each([about])).get(about, [])

    async def of_each(self, abouts: Iterable[str]) -> dict[str, list[Delivery]]:
        """Those of many jobs or links, by their ids; who has none is left out."""
        ids = json.dumps(list(abouts))
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM deliveries WHERE job_id IN (SELECT value FROM json_each(:ids))"  # noqa: S608  -- our own column names, here and below
                " OR link_id IN (SELECT value FROM json_each(:ids)) ORDER BY kind",
                {"ids": ids},
            ).fetchall()
        )
        found: dict[str, list[Delivery]] = defaultdict(list)
        for delivery in map(_delivery, rows):
            found[delivery.about].append(delivery)
        return dict(found)

    async def due(self, now: float, *, limit: int) -> list[Delivery]:
        """What is to be tried now. First attempts come first: who never answers delays nobody else."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM deliveries WHERE state = 'waiting' AND next_at <= ?"  # noqa: S608
                " ORDER BY tries, next_at LIMIT ?",
                (now, limit),
            ).fetchall()
        )
        return [_delivery(row) for row in rows]

    async def attempted(self, delivery: Delivery, attempt: Attempt, state: State, next_at: float | None = None) -> None:
        """Write down what came of an attempt; `next_at` is for what goes on waiting."""
        attempts = json.dumps([*delivery.attempts, attempt])
        await self._database.run(
            lambda connection: connection.execute(
                "UPDATE deliveries SET state = ?, attempts = ?, tries = tries + 1, next_at = ? WHERE id = ?",
                (state, attempts, next_at, delivery.id),
            )
        )

    async def waiting(self) -> dict[Kind, int]:
        """How many wait, of each kind."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT kind, count(*) AS deliveries FROM deliveries WHERE state = 'waiting' GROUP BY kind"
            ).fetchall()
        )
        return dict.fromkeys(Kind, 0) | {Kind(row["kind"]): row["deliveries"] for row in rows}


def _delivery(row: sqlite3.Row) -> Delivery:
    fields = {name: row[name] for name in row.keys()}  # noqa: SIM118  -- a Row iterates over its values
    return Delivery(
        **fields
        | {
            "kind": Kind(fields["kind"]),
            "state": State(fields["state"]),
            "attempts": tuple(Attempt(*each) for each in json.loads(fields["attempts"])),
        }
    )


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
