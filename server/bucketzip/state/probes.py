"""What was found out about copying in S3, by endpoint and buckets; and the scratch uploads that are under way."""

import sqlite3
import time
from typing import NamedTuple

from bucketzip.state.database import Database


class Probe(NamedTuple):
    """Whether objects of the bucket `source`, copied into `scratch`, come out right and with a right CRC."""

    endpoint: str
    source: str
    scratch: str


class Verdict(NamedTuple):
    """What a probe came to."""

    proven: bool
    reason: str
    """Why not; empty where it is."""


class Known(NamedTuple):
    """A verdict that holds until `expires_at`, in seconds since 1970."""

    probe: Probe
    verdict: Verdict
    expires_at: int


class Probes:
    """The table of verdicts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, probe: Probe) -> Verdict | None:
        """The verdict, if there is one that still holds."""
        row = await self._database.read(
            lambda connection: connection.execute(
                "SELECT verdict, reason FROM probes"
                " WHERE endpoint = ? AND source = ? AND scratch = ? AND expires_at > ?",
                (*probe, int(time.time())),
            ).fetchone()
        )
        return Verdict(row["verdict"] == "proven", row["reason"]) if row else None

    async def known(self, endpoint: str) -> list[Known]:
        """The verdicts about an endpoint that still hold, by bucket."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT endpoint, source, scratch, verdict, reason, expires_at FROM probes"
                " WHERE endpoint = ? AND expires_at > ? ORDER BY source, scratch",
                (endpoint, int(time.time())),
            ).fetchall()
        )
        return [
            Known(Probe(*row[:3]), Verdict(row["verdict"] == "proven", row["reason"]), row["expires_at"])
            for row in rows
        ]

    async def keep(self, probe: Probe, verdict: Verdict, *, seconds: float) -> None:
        """Let a verdict hold for so long."""
        now = time.time()
        values = (*probe, "proven" if verdict.proven else "failed", verdict.reason, int(now + seconds))

        def run(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM probes WHERE expires_at < ?", (int(now),))
            connection.execute("INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?, ?, ?)", values)

        await self._database.run(run)


class ScratchUpload(NamedTuple):
    """An upload that will be aborted. Its key is used once, so whatever is uploaded to it is ours."""

    bucket: str
    key: str
    process: str


class ScratchUploads:
    """The table of them: written before the upload is created, so that no crash leaves one that nobody knows of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begun(self, upload: ScratchUpload) -> None:
        """Note one that is about to be created."""
        await self._database.run(
            lambda connection: connection.execute("INSERT INTO scratch_uploads VALUES (?, ?, ?)", upload)
        )

    async def ended(self, upload: ScratchUpload) -> None:
        """Forget one that is gone."""
        await self._database.run(
            lambda connection: connection.execute(
                "DELETE FROM scratch_uploads WHERE bucket = ? AND key = ?", upload[:2]
            )
        )

    async def all(self) -> list[ScratchUpload]:
        """Those that are not known to be gone, of every process."""

        def run(connection: sqlite3.Connection) -> list[ScratchUpload]:
            return [
                ScratchUpload(*row) for row in connection.execute("SELECT bucket, key, process FROM scratch_uploads")
            ]

        return await self._database.read(run)
