"""Receipts: which parts of a job's upload S3 has. What has one is never sent again."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from bucketzip.state.database import Database


class Receipt(NamedTuple):
    """One part, as S3 took it."""

    part: int
    etag: str
    """Without quotes."""
    size: int
    crc: int
    pieces: bytes
    """The bytes of entries in it and their CRCs: `<IQQI` each (entry, start, stop, CRC)."""


class Receipts:
    """The table of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, job_id: str, receipt: Receipt) -> None:
        """Note that a part is there, instead of what was noted of it before; on disk when this returns."""
        await self._database.run(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO receipts (job_id, part, etag, size, crc, pieces) VALUES (?, ?, ?, ?, ?, ?)",
                (job_id, *receipt),
            )
        )

    async def all(self, job_id: str) -> list[Receipt]:
        """Those of a job, by part number."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT part, etag, size, crc, pieces FROM receipts WHERE job_id = ? ORDER BY part", (job_id,)
            ).fetchall()
        )
        return [Receipt(*row) for row in rows]

    async def drop(self, job_id: str, parts: Sequence[int]) -> None:
        """Parts that S3 does not have as noted: they are to be done again."""

        def run(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM receipts WHERE job_id = ? AND part = ?", ((job_id, part) for part in parts)
            )

        await self._database.run(run)

    async def drop_all(self, job_id: str) -> None:
        """The upload is gone, or what it was made by."""
        await self._database.run(
            lambda connection: connection.execute("DELETE FROM receipts WHERE job_id = ?", (job_id,))
        )
