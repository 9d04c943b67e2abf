"""The SQLite file: opened by several at once, brought up to date, never down."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bucketzip.state import database
from bucketzip.state.database import FILE_NAME, MIGRATIONS, NewerState, open_database

OPEN = """
import asyncio, sys
from pathlib import Path
from bucketzip.state.database import open_database
async def main():
    async with open_database(Path(sys.argv[1])) as opened:
        print(await opened.read(lambda connection: connection.execute("PRAGMA user_version").fetchone()[0]))
asyncio.run(main())
"""


def version_of(directory: Path) -> int:
    with sqlite3.connect(directory / FILE_NAME) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM links").fetchone()[0])


def insert(connection: sqlite3.Connection, key: bytes = b"key") -> None:
    connection.execute(
        "INSERT INTO links (capability_hash, owner, filename, request, created_at, expires_at, state)"
        " VALUES (?, 'o', 'f', '{}', 0, 0, 'planning')",
        (key,),
    )


async def test_a_new_file_has_the_newest_schema(tmp_path: Path) -> None:
    async with open_database(tmp_path) as opened:
        assert await opened.read(count) == 0
    assert version_of(tmp_path) == len(MIGRATIONS)


async def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    for expected in (0, 1):
        async with open_database(tmp_path) as opened:
            assert await opened.read(count) == expected
            if not expected:
                await opened.run(insert)


async def test_an_older_file_is_brought_up_to_date_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(tmp_path) as opened:
        await opened.run(insert)
    newer = (*MIGRATIONS, "ALTER TABLE links ADD COLUMN next TEXT; UPDATE links SET next = 'x'")
    monkeypatch.setattr(database, "MIGRATIONS", newer)
    async with open_database(tmp_path) as opened:
        row = await opened.read(lambda connection: connection.execute("SELECT owner, next FROM links").fetchone())
        assert tuple(row) == ("o", "x")
    assert version_of(tmp_path) == len(MIGRATIONS) + 1


async def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    async with open_database(tmp_path) as opened:
        await opened.run(lambda connection: connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}"))
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(NewerState, match="newer release"):
        async with open_database(tmp_path):
            pytest.fail("it was opened")
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert version_of(tmp_path) == len(MIGRATIONS) + 1


async def test_a_broken_migration_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_database(tmp_path) as opened:
        await opened.run(insert)
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", (*MIGRATIONS, "DELETE FROM links; ALTER TABLE nothing ADD COLUMN x"))
        with pytest.raises(sqlite3.OperationalError, match="nothing"):
            async with open_database(tmp_path):
                pytest.fail("it was opened")
    async with open_database(tmp_path) as opened:
        assert await opened.read(count) == 1


async def test_a_function_that_raises_has_done_nothing(tmp_path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        insert(connection)
        raise ValueError("on purpose")

    async with open_database(tmp_path) as opened:
        with pytest.raises(ValueError, match="on purpose"):
            await opened.run(fail)
        assert await opened.read(count) == 0
        await opened.run(insert)
        assert await opened.read(count) == 1


async def test_the_loop_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    async with open_database(tmp_path) as opened:
        threads = {await opened.run(lambda _: threading.current_thread()) for _ in range(3)}
        assert len(threads) == 1, "SQLite's connection stays in the thread that opened it"
        assert threads != {threading.current_thread()}
        go_on = threading.Event()
        slow = asyncio.create_task(opened.run(lambda _: go_on.wait(120)))
        await asyncio.sleep(0)
        go_on.set()
        assert await slow, "the loop did not get to it"


async def test_readers_wait_for_no_writer(tmp_path: Path) -> None:
    """A link is looked up by each request; another process may be in the middle of a long transaction."""
    async with open_database(tmp_path) as opened:
        await opened.run(insert)
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM links")
        assert await opened.read(count) == 1, "what is not committed is not seen"
        other.execute("COMMIT")
        assert await opened.read(count) == 0
        other.close()


async def test_writers_wait_their_turn(tmp_path: Path) -> None:
    async with open_database(tmp_path) as opened:
        other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        insert(other, b"other")
        writing = asyncio.create_task(opened.run(insert))
        await asyncio.sleep(0.1)
        assert not writing.done()
        other.execute("COMMIT")
        other.close()
        await writing
        assert await opened.read(count) == 2


def test_processes_that_start_at_once_all_find_the_schema(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate()[0].strip() for process in processes] == [str(len(MIGRATIONS))] * 4
    assert [process.returncode for process in processes] == [0] * 4


async def test_what_need_not_last_waits_for_no_disk_and_the_next_does(tmp_path: Path) -> None:
    """SQLite's numbers: NORMAL is 1, FULL is 2."""

    def synchronous(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])

    def fail(connection: sqlite3.Connection) -> None:
        insert(connection, b"another")
        raise ValueError("on purpose")

    async with open_database(tmp_path) as opened:
        assert await opened.run(synchronous) == 2
        assert await opened.run(synchronous, durable=False) == 1
        assert await opened.run(synchronous) == 2
        await opened.run(insert, durable=False)
        with pytest.raises(ValueError, match="on purpose"):
            await opened.run(fail, durable=False)
        assert await opened.run(synchronous) == 2
        assert await opened.run(count) == 1


async def test_a_full_disk_stops_one_transaction_and_no_other(tmp_path: Path) -> None:
    """Which SQLite rolls back by itself."""

    def fill(connection: sqlite3.Connection) -> None:
        for number in range(10_000):
            insert(connection, bytes(1000) + number.to_bytes(4))

    async with open_database(tmp_path) as opened:
        pages = await opened.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
        await opened.read(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages + 10}").fetchone())
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await opened.run(fill)
        await opened.run(insert)
        assert await opened.read(count) == 1
