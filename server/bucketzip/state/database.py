"""The SQLite file of a machine: opened once a process, used from one thread of its own, migrated at start.

Transactions are short functions that get the connection. WAL lets other processes read meanwhile; `busy_timeout` lets
them wait their turn to write.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from bucketzip.errors import BucketzipError

T = TypeVar("T")

FILE_NAME = "state.sqlite3"
BUSY_SECONDS = 10.0

MIGRATIONS = (
    """
    CREATE TABLE links (
        capability_hash BLOB PRIMARY KEY,
        owner TEXT NOT NULL,
        filename TEXT NOT NULL,
        request TEXT NOT NULL,
        credential TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('planning', 'ready', 'failed', 'changed')),
        manifest TEXT,
        bytes INTEGER,
        entries INTEGER,
        error_code TEXT,
        error_detail TEXT
    ) STRICT;
    CREATE INDEX links_by_manifest ON links (manifest);
    CREATE INDEX links_by_expiry ON links (expires_at);
    CREATE TABLE crcs (
        version BLOB PRIMARY KEY,
        crc INTEGER NOT NULL,
        learned_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX crcs_by_age ON crcs (learned_at);
    """,
    """
    ALTER TABLE links ADD COLUMN planner TEXT;
    ALTER TABLE links ADD COLUMN summary TEXT;
    CREATE TABLE refuted (
        version BLOB PRIMARY KEY,
        refuted_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE probes (
        endpoint TEXT NOT NULL,
        source TEXT NOT NULL,
        scratch TEXT NOT NULL,
        verdict TEXT NOT NULL,
        reason TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (endpoint, source, scratch)
    ) STRICT;
    CREATE TABLE scratch_uploads (
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        process TEXT NOT NULL,
        PRIMARY KEY (bucket, key)
    ) STRICT;
    """,
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        idempotency_key TEXT,
        request TEXT NOT NULL,
        request_digest TEXT NOT NULL,
        priority INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (
            state IN ('queued', 'planning', 'running', 'finishing', 'succeeded', 'failed', 'cancelled')
        ),
        error_code TEXT,
        error_detail TEXT,
        cancel_reason TEXT,
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        finished_at INTEGER,
        runner TEXT,
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        token TEXT NOT NULL,
        manifest TEXT,
        copy_from TEXT NOT NULL,
        no_copy TEXT NOT NULL,
        replans INTEGER NOT NULL,
        creating_at REAL,
        upload_id TEXT,
        checksums INTEGER,
        bytes INTEGER,
        entries INTEGER,
        parts INTEGER,
        copied_bytes_done INTEGER NOT NULL,
        built_bytes_done INTEGER NOT NULL,
        entries_done INTEGER NOT NULL,
        pace_at REAL,
        pace_bytes INTEGER,
        next_pace_at REAL,
        next_pace_bytes INTEGER,
        revision INTEGER NOT NULL,
        notes TEXT NOT NULL,
        result TEXT,
        UNIQUE (owner, idempotency_key)
    ) STRICT;
    CREATE INDEX jobs_by_state ON jobs (state, priority DESC, number);
    CREATE TABLE receipts (
        job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        part INTEGER NOT NULL,
        etag TEXT NOT NULL,
        size INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        pieces BLOB NOT NULL,
        PRIMARY KEY (job_id, part)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE links ADD COLUMN id TEXT;
    ALTER TABLE links ADD COLUMN revoked_at INTEGER;
    UPDATE links SET id = lower(hex(randomblob(16)));
    CREATE UNIQUE INDEX links_by_id ON links (id);
    ALTER TABLE links ADD COLUMN idempotency_key TEXT;
    ALTER TABLE links ADD COLUMN request_digest TEXT;
    CREATE INDEX links_by_owner ON links (owner);
    CREATE UNIQUE INDEX links_by_idempotency_key ON links (owner, idempotency_key);
    ALTER TABLE jobs ADD COLUMN credential TEXT;
    ALTER TABLE jobs ADD COLUMN spent TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE jobs ADD COLUMN skipped TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE jobs ADD COLUMN result_capability_hash BLOB;
    ALTER TABLE jobs ADD COLUMN result_expires_at INTEGER;
    CREATE INDEX jobs_by_owner ON jobs (owner);
    CREATE INDEX jobs_by_result ON jobs (result_capability_hash);
    CREATE TABLE users (
        user_key TEXT PRIMARY KEY,
        secret_hash TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('admin', 'user')),
        buckets TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        tokens_from INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE deliveries (
        id TEXT PRIMARY KEY,
        job_id TEXT REFERENCES jobs (id) ON DELETE CASCADE,
        link_id TEXT REFERENCES links (id) ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('callback', 'email')),
        target TEXT NOT NULL,
        event TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
        attempts TEXT NOT NULL DEFAULT '[]',
        tries INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        next_at REAL,
        CHECK ((job_id IS NULL) <> (link_id IS NULL)),
        CHECK ((next_at IS NULL) = (state <> 'waiting'))
    ) STRICT;
    CREATE INDEX deliveries_by_job ON deliveries (job_id);
    CREATE INDEX deliveries_by_link ON deliveries (link_id);
    CREATE INDEX deliveries_waiting ON deliveries (next_at) WHERE state = 'waiting';
    """,
    """
    CREATE TABLE running_downloads (
        process TEXT NOT NULL,
        link_id TEXT NOT NULL,
        downloads INTEGER NOT NULL,
        PRIMARY KEY (process, link_id)
    ) STRICT, WITHOUT ROWID;
    """,
)
"""Each brings the file from one version to the next; a landed one is never changed."""


class NewerState(BucketzipError):
    """The state directory was written by a newer release of bucketzip. Start that one, or another directory."""

    code = "newer_state"


class Database:
    """Runs functions with the connection, one after the other, in its thread."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def run(self, function: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Run a function as one transaction: committed when it returns, rolled back when it raises.

        One that is not durable costs no wait for the disk. It outlives this process, but a machine that loses power
        may forget it, up to the next durable one.
        """
        return await self._in_thread("BEGIN IMMEDIATE", function, durable=durable)

    async def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that writes nothing: it sees one state of the file, and waits for no other process."""
        return await self._in_thread("BEGIN", function)

    async def _in_thread(self, begin: str, function: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        transact = self._transact if durable else self._transact_undurably
        return await asyncio.get_running_loop().run_in_executor(self._thread, transact, begin, function)

    def _transact_undurably(self, begin: str, function: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            return self._transact(begin, function)
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")

    def _transact(self, begin: str, function: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute(begin)
        try:
            result = function(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # where the disk is full, SQLite has rolled back already
                self._connection.execute("ROLLBACK")
            raise
        return result


@asynccontextmanager
async def open_database(directory: Path) -> AsyncIterator[Database]:
    """Open the machine's file, brought to this release's schema."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="state") as thread:
        connection = await loop.run_in_executor(thread, _open, directory / FILE_NAME)
        try:
            yield Database(connection, thread)
        finally:
            await loop.run_in_executor(thread, connection.close)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # sealed credentials that were forgotten are not to be found
    # Two processes that start at once take turns here, and the second finds the work done.
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise NewerState
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        for statement in migration.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute("COMMIT")
