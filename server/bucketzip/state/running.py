"""Downloads that go on, as the processes of a machine tell each other: each writes down its own, and reads them all."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Mapping

from bucketzip.state.database import Database
from bucketzip.state.processes import Processes


class RunningDownloads:
    """The table of them, by process and link. What a process left that died is not counted."""

    def __init__(self, database: Database, processes: Processes) -> None:
        self._database = database
        self._processes = processes

    async def tell(self, downloads: Mapping[str, int]) -> None:
        """Those of this process, by the ids of their links, in place of what it told before."""
        own = self._processes.own

        def run(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM running_downloads WHERE process = ?", (own,))
            connection.executemany(
                "INSERT INTO running_downloads (process, link_id, downloads) VALUES (?, ?, ?)",
                [(own, *each) for each in downloads.items()],
            )

        await self._database.run(run, durable=False)

    async def of_others(self) -> Counter[str]:
        """Those of the other processes, by the ids of their links."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT process, link_id, downloads FROM running_downloads WHERE process <> ?", (self._processes.own,)
            ).fetchall()
        )
        dead = await self._dead({row["process"] for row in rows})
        found = Counter[str]()
        for row in rows:
            if row["process"] not in dead:
                found[row["link_id"]] += row["downloads"]
        return found

    async def forget_dead(self) -> None:
        """Nobody else takes away what a process left."""
        rows = await self._database.read(
            lambda connection: connection.execute("SELECT DISTINCT process FROM running_downloads").fetchall()
        )
        if dead := await self._dead({row["process"] for row in rows}):
            await self._database.run(
                lambda connection: connection.executemany(
                    "DELETE FROM running_downloads WHERE process = ?", [(process,) for process in dead]
                ),
                durable=False,
            )

    async def _dead(self, processes: set[str]) -> set[str]:
        if not processes:
            return set()
        return await asyncio.to_thread(lambda: {each for each in processes if not self._processes.alive(each)})
