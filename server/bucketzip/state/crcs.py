"""CRCs of object versions, learned by reading them: the same content is never read for its CRC again."""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

from bucketzip.archive.manifest import Source
from bucketzip.state.database import Database

KEPT_SECONDS = 400 * 86_400
"""Longer than any link lives."""

_ASKED_AT_ONCE = 500  # SQLite takes at least 999 parameters in a statement


class CrcTable:
    """One row an object version; implements `transfer.ports.CrcMemory`.

    `origin` tells the S3 that has the objects from any other, where it is not the usual one: what one tells of an
    object says nothing of another's. `tell` is told how many objects a recall found and missed.
    """

    def __init__(
        self, database: Database, origin: str = "", tell: Callable[[int, int], None] = lambda hits, misses: None
    ) -> None:
        self._database = database
        self._origin = origin
        self._tell = tell

    async def recall(self, objects: Sequence[tuple[Source, int]]) -> list[int | None]:
        """The CRC of each (object, size), where it is known."""
        keys = [self._key(source, size) for source, size in objects]
        found = dict(await self._rows("SELECT version, crc FROM crcs", keys))
        self._tell(len(found), len(keys) - len(found))
        return [found.get(key) for key in keys]

    async def refuted(self, objects: Sequence[tuple[Source, int]]) -> list[bool]:
        """Whether each (object, size) was found to have another CRC than was told of it."""
        keys = [self._key(source, size) for source, size in objects]
        found = {version for (version,) in await self._rows("SELECT version FROM refuted", keys)}
        return [key in found for key in keys]

    async def refute(self, source: Source, size: int) -> None:
        """Note that an object was read and had another CRC than was told of it. What is known of it is forgotten."""
        key = self._key(source, size)

        def run(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM crcs WHERE version = ?", (key,))
            connection.execute("INSERT OR REPLACE INTO refuted (version, refuted_at) VALUES (?, ?)", (key, _now()))

        await self._database.run(run)

    async def keep(self, learned: Sequence[tuple[Source, int, int]]) -> None:
        """Keep the CRC of each (object, size, CRC), and forget what is old."""
        now = _now()
        rows = [(self._key(source, size), crc, now) for source, size, crc in learned]
        if not rows:
            return

        def run(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO crcs (version, crc, learned_at) VALUES (?, ?, ?)", rows)
            connection.execute("DELETE FROM crcs WHERE learned_at < ?", (now - KEPT_SECONDS,))

        await self._database.run(run)

    async def _rows(self, select: str, keys: Sequence[bytes]) -> list[tuple[Any, ...]]:
        """The rows of a table whose `version` is one of the keys."""
        if not keys:
            return []

        def run(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            found: list[tuple[Any, ...]] = []
            for first in range(0, len(keys), _ASKED_AT_ONCE):
                asked = keys[first : first + _ASKED_AT_ONCE]
                marks = ", ".join("?" * len(asked))
                found += map(tuple, connection.execute(f"{select} WHERE version IN ({marks})", asked))
            return found

        return await self._database.read(run)

    def _key(self, source: Source, size: int) -> bytes:
        """What pins content: bucket, key, size, and the version or else the ETag."""
        pinned = "\0".join((source.bucket, source.key, source.version_id, source.etag, str(size)))
        whole = f"{pinned}\0{self._origin}" if self._origin else pinned
        return hashlib.blake2b(whole.encode(), digest_size=16).digest()


def _now() -> int:
    return int(time.time())
