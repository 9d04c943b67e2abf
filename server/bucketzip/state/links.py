"""Download links: who holds the capability may download. Only its hash is kept."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bucketzip.errors import IdempotencyConflict
from bucketzip.state.capabilities import hash_capability
from bucketzip.state.database import Database
from bucketzip.state.deliveries import post_end_of_planning
from bucketzip.state.paging import Page, parse_after, read_page

State = Literal["planning", "ready", "failed", "changed"]
Standing = Literal["planning", "ready", "failed", "changed", "expired", "revoked"]
"""What its owner sees: the state, unless the link has ended for another reason."""
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
    revoked_at: int | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None

    def standing(self, now: float) -> Standing:
        """What the link is good for at the time `now`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else self.state


_FIELDS = tuple(Link.__dataclass_fields__)
_COLUMNS = ", ".join(_FIELDS)
_ASKED_AT_ONCE = 500  # SQLite takes at least 999 parameters in a statement


class Links:
    """The table of links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, link: Link) -> Link:
        """Keep a new link, or return the one that came with its idempotency key before and still works.

        Raises IdempotencyConflict where that one was another request.
        """
        fields = vars(link)
        marks = ", ".join(f":{name}" for name in fields)

        def run(connection: sqlite3.Connection) -> Link:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM links WHERE owner = :owner AND idempotency_key = :idempotency_key",  # noqa: S608  -- our own column names, here and below
                fields,
            ).fetchone()
            if row is not None:
                before = Link(**row)
                if before.standing(link.created_at) in {"planning", "ready"}:
                    if before.request_digest != link.request_digest:
                        raise IdempotencyConflict
                    return before
                connection.execute("UPDATE links SET idempotency_key = NULL WHERE id = ?", (before.id,))
            connection.execute(f"INSERT INTO links ({_COLUMNS}) VALUES ({marks})", fields)  # noqa: S608
            return link

        return await self._database.run(run)

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

    async def find(self, link_id: str) -> Link | None:
        """The link of an id, expired or not."""
        row = await self._database.read(lambda connection: _find(connection, link_id))
        return Link(**row) if row else None

    async def page(
        self,
        *,
        now: float,
        owner: str | None = None,
        standing: Standing | None = None,
        after: str | None = None,
        limit: int,
    ) -> Page[Link]:
        """The newest first, `limit` at most, `after` the `next` of the page before; None is everybody's, or any.

        Raises InvalidRequest where `after` was none.
        """
        most = parse_after(after)
        shown = f"CASE WHEN revoked_at NOT NULL THEN 'revoked' WHEN expires_at <= {now:f} THEN 'expired' ELSE state END"
        rows = await self._database.read(
            lambda connection: read_page(
                connection,
                f"SELECT {_COLUMNS} FROM links",  # noqa: S608
                {"owner": owner, shown: standing},
                after=most,
                limit=limit,
            )
        )
        return Page([Link(**{name: row[name] for name in _FIELDS}) for row in rows.items], rows.next)

    async def revoke(self, link_id: str, now: int) -> Link | None:
        """End a link for good, and forget whose credentials it used. None where there is no such link."""

        def run(connection: sqlite3.Connection) -> sqlite3.Row | None:
            connection.execute("UPDATE links SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now, link_id))
            _forget_credentials(connection)
            return _find(connection, link_id)

        row = await self._database.run(run)
        return Link(**row) if row else None

    async def revoked(self, link_ids: Sequence[str]) -> set[str]:
        """Those of the ids whose links were revoked."""

        def run(connection: sqlite3.Connection) -> set[str]:
            found = set()
            for first in range(0, len(link_ids), _ASKED_AT_ONCE):
                asked = link_ids[first : first + _ASKED_AT_ONCE]
                marks = ", ".join("?" * len(asked))
                query = f"SELECT id FROM links WHERE revoked_at NOT NULL AND id IN ({marks})"  # noqa: S608
                found |= {row["id"] for row in connection.execute(query, asked)}
            return found

        return await self._database.read(run)

    async def planned(self, link: Link, *, manifest: str, size: int | None, entries: int, summary: str) -> None:
        """The archive behind the link is known to the byte now, and stays as it is; of a compressed one no size is."""
        await self._update(
            link, "planning", state="ready", manifest=manifest, bytes=size, entries=entries, summary=summary
        )

    async def failed(self, link: Link, state: Literal["failed", "changed"], *, code: str, detail: str) -> None:
        """The link will not work any more, and says why."""
        before: State = "planning" if state == "failed" else "ready"
        await self._update(link, before, state=state, error_code=code, error_detail=detail)

    async def planning(self, now: int) -> list[Link]:
        """Links whose planning did not come to its end, and that somebody may still use."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM links WHERE state = 'planning' AND expires_at > ? AND revoked_at IS NULL",  # noqa: S608
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
            connection.execute(
                "UPDATE links SET manifest = NULL WHERE (expires_at < ? OR revoked_at NOT NULL) AND manifest NOT NULL",
                (now,),
            )
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
            if fields["state"] != "ready":
                _forget_credentials(connection)

        await self._database.run(run)


def _forget_credentials(connection: sqlite3.Connection, now: int = 0) -> None:
    """Those of links that will not work any more, at the time `now`."""
    connection.execute(
        "UPDATE links SET credential = '' WHERE credential <> ''"  # what is NULL stays so
        " AND (expires_at < ? OR revoked_at IS NOT NULL OR state IN ('failed', 'changed'))",
        (now,),
    )


def _find(connection: sqlite3.Connection, link_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(f"SELECT {_COLUMNS} FROM links WHERE id = ?", (link_id,)).fetchone()  # noqa: S608
    return row
