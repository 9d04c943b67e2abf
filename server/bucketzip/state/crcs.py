"""CRCs of object versions, learned by reading them: the same content is never read for its CRC again."""

import hashlib
import sqlite3
import time
from collections.abc import Sequence

from bucketzip.archive.manifest import Source
from bucketzip.state.database import Database

KEPT_SECONDS = 400 * 86_400
"""Longer than any link lives."""

_ASKED_AT_ONCE = 500  # SQLite takes at least 999 parameters in a statement


class CrcTable:
    """One row an object version; implements `transfer.ports.CrcMemory`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recall(self, objects: Sequence[tuple[Source, int]]) -> list[int | None]:
        """The CRC of each (object, size), where it is known."""
        keys = [_key(source, size) for source, size in objects]
        if not keys:
            return []

        def run(connection: sqlite3.Connection) -> dict[bytes, int]:
            found: dict[bytes, int] = {}
            for first in range(0, len(keys), _ASKED_AT_ONCE):
                asked = keys[first : first + _ASKED_AT_ONCE]
                marks = ", ".join("?" * len(asked))
                rows = connection.execute(f"SELECT version, crc FROM crcs WHERE version IN ({marks})", asked)  # noqa: S608  -- question marks
                found.update(tuple(row) for row in rows)
            return found

        found = await self._database.read(run)
        return [found.get(key) for key in keys]

    async def keep(self, learned: Sequence[tuple[Source, int, int]]) -> None:
        """Keep the CRC of each (object, size, CRC), and forget what is old."""
        now = int(time.time())
        rows = [(_key(source, size), crc, now) for source, size, crc in learned]
        if not rows:
            return

        def run(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO crcs (version, crc, learned_at) VALUES (?, ?, ?)", rows)
            connection.execute("DELETE FROM crcs WHERE learned_at < ?", (now - KEPT_SECONDS,))

        await self._database.run(run)


def _key(source: Source, size: int) -> bytes:
    """What pins content: bucket, key, size, and the version or else the ETag."""
    pinned = "\0".join((source.bucket, source.key, source.version_id, source.etag, str(size)))
    return hashlib.blake2b(pinned.encode(), digest_size=16).digest()
