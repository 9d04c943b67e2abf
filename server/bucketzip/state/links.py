"""Download links: who holds the capability may download. Only its hash is kept."""

import sqlite3
import time
from dataclasses import dataclass
from typing import Literal

from bucketzip.state.capabilities import hash_capability
from bucketzip.state.database import Database
from bucketzip.state.deliveries import post_end_of_planning

State = Literal["planning", "ready", "failed", "changed"]
KEPT_AFTER_EXPIRY_SECONDS = 7 * 86_400
"""So long a link says that it has expired, instead of being unknown."""


@dataclass(frozen=True)
class Link:
    """One row. Times are seconds since 1970."""

    id: str
    capability_hash: bytes
    owner: str
    filename: str
    request: str
    created_at: int
    expires_at: int
    state: State
    manifest: str | None = None
    bytes: int | None = None
    entries: int | None = None
    error_code: str | None = None
    error_detail: str | None = None
    planner: str | None = None
    """The process that plans it."""
    summary: str | None = None
    """What it was planned with, as JSON."""
    credential: str | None = None
    """Sealed, if it is not the server's; empty once it is of no use any more."""


_COLUMNS = ", ".join(Link.__dataclass_fields__)


class Links:
    """The table of links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, link: Link) -> None:
        """Keep a new link."""
        fields = vars(link)
        marks = ", ".join(f":{name}" for name in fields)
        await self._database.run(
            lambda connection: connection.execute(f"INSERT INTO links ({_COLUMNS}) VALUES ({marks})", fields)  # noqa: S608  -- our own column names
        )

    async def get(self, capability: str) -> Link | None:
        """The link of a capability, expired or not."""
        key = hash_capability(capability)
        row = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM links WHERE capability_hash = ?",  # noqa: S608  -- our own column names
                (key,),
            ).fetchone()
        )
        return Link(**row) if row else None

    async def planned(self, link: Link, *, manifest: str, size: int | None, entries: int, summary: str) -> None:
        """The archive behind the link is known to the byte now, and stays as it is; of a compressed one no size is."""
        await self._update(
            link, "planning", state="ready", manifest=manifest, bytes=size, entries=entries, summary=summary
        )

    async def failed(self, link: Link, state: Literal["failed", "changed"], *, code: str, detail: str) -> None:
        """The link will not work any more, and says why."""
        before: State = "planning" if state == "failed" else "ready"
        await self._update(link, before, state=state, error_code=code, error_detail=detail)
        await self._database.run(_forget_credentials)

    async def find(self, link_id: str) -> Link | None:
        """The link of an id, expired or not."""
        row = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM links WHERE id = ?",  # noqa: S608  -- our own column names
                (link_id,),
            ).fetchone()
        )
        return Link(**row) if row else None

    async def planning(self, now: int) -> list[Link]:
        """Links whose planning did not come to its end, and that somebody may still use."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM links WHERE state = 'planning' AND expires_at > ?",  # noqa: S608  -- our own column names
                (now,),
            ).fetchall()
        )
        return [Link(**row) for row in rows]

    async def adopt(self, link: Link, planner: str) -> bool:
        """Take over a link whose planner died; False where another process was faster."""

        def run(connection: sqlite3.Connection) -> bool:
            taken = connection.execute(
                "UPDATE links SET planner = ? WHERE capability_hash = ? AND state = 'planning' AND planner IS ?",
                (planner, link.capability_hash, link.planner),
            )
            return taken.rowcount == 1

        return await self._database.run(run)

    async def sweep(self, now: int) -> set[str]:
        """Forget links long expired; returns the manifests that links still need."""

        def run(connection: sqlite3.Connection) -> set[str]:
            connection.execute("DELETE FROM links WHERE expires_at < ?", (now - KEPT_AFTER_EXPIRY_SECONDS,))
            connection.execute("UPDATE links SET manifest = NULL WHERE expires_at < ? AND manifest NOT NULL", (now,))
            _forget_credentials(connection, now)
            rows = connection.execute("SELECT DISTINCT manifest FROM links WHERE manifest IS NOT NULL")
            return {row["manifest"] for row in rows}

        return await self._database.run(run)

    async def _update(self, link: Link, before: State, **fields: str | int | None) -> None:
        """Only from the state `before`: the first who comes to an end wins."""
        changes = ", ".join(f"{name} = :{name}" for name in fields)
        values = {**fields, "key": link.capability_hash, "before": before}

        def run(connection: sqlite3.Connection) -> None:
            changed = connection.execute(
                f"UPDATE links SET {changes} WHERE capability_hash = :key AND state = :before",  # noqa: S608  -- our own column names
                values,
            )
            if changed.rowcount and before == "planning":
                post_end_of_planning(connection, link.id, int(time.time()))

        await self._database.run(run)


def _forget_credentials(connection: sqlite3.Connection, now: int = 0) -> None:
    """Those of links that will not work any more, at the time `now`."""
    connection.execute(
        "UPDATE links SET credential = '' WHERE credential <> ''"  # what is NULL stays so
        " AND (expires_at < ? OR revoked_at IS NOT NULL OR state IN ('failed', 'changed'))",
        (now,),
    )
