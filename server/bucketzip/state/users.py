"""Who may use this server: a key that names the user, and a secret of which only a hash is kept.

The shapes are those of S3Zipper's accounts, so that its clients can store them: 22 and 36 characters.
"""

import asyncio
import json
import re
import secrets
import sqlite3
import string
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bucketzip.state.database import Database
from bucketzip.state.scrypt import hash_of_nothing, hash_secret, matches

KEY_CHARACTERS = 22
SECRET_CHARACTERS = 36
HASHES_AT_ONCE = 2
"""Each takes 16 MiB and a thread."""

_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(rf"[A-Za-z0-9]{{{KEY_CHARACTERS}}}")


class Role(StrEnum):
    """What a user may do beside zipping."""

    ADMIN = "admin"
    """See and end what others began, too."""
    USER = "user"


@dataclass(frozen=True)
class User:
    """One row, without the hash. Times are seconds since 1970."""

    user_key: str
    role: Role
    buckets: tuple[str, ...]
    """Globs; only buckets that one of them matches may be named."""
    created_at: int
    tokens_from: int
    """Tokens issued before are worth nothing."""


class LastAdmin(Exception):
    """Without an admin nobody could see, or end, what everybody does."""


_COLUMNS = ", ".join(User.__dataclass_fields__)


class Users:
    """The table of users. `clock` gives seconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobody = hash_of_nothing()

    async def add(self, role: Role, buckets: Sequence[str] = ("*",)) -> tuple[User, str]:
        """A new user and the secret, which is not kept."""
        user, secret, kept = await self._made(role, buckets)
        await self._database.run(lambda connection: _insert(connection, user, kept))
        return user, secret

    async def add_first(self, tell: Callable[[User, str], None]) -> User | None:
        """An admin who may use all buckets, if there is no user at all; None where there is one.

        `tell` gets the secret and runs in the transaction: of processes that start at once one makes the user, and no
        user is made whose secret could not be told.
        """
        if await self.all():
            return None
        user, secret, kept = await self._made(Role.ADMIN, ("*",))

        def run(connection: sqlite3.Connection) -> User | None:
            if connection.execute("SELECT 1 FROM users LIMIT 1").fetchone():
                return None
            _insert(connection, user, kept)
            tell(user, secret)
            return user

        return await self._database.run(run)

    async def get(self, user_key: str) -> User | None:
        """The user of a key."""
        return await self._database.read(lambda connection: _get(connection, user_key))

    async def all(self) -> list[User]:
        """The oldest first."""
        rows = await self._database.read(
            lambda connection: connection.execute(f"SELECT {_COLUMNS} FROM users ORDER BY created_at, rowid").fetchall()  # noqa: S608  -- our own column names, here and below
        )
        return [_user(row) for row in rows]

    async def authenticate(self, user_key: str, secret: str) -> User | None:
        """The user, if it is that user's secret. A key that nobody has costs as much as a wrong secret."""
        if not _KEY.fullmatch(user_key):
            user_key = ""  # nobody's, too; SQLite would not take every text

        def read(connection: sqlite3.Connection) -> tuple[User | None, str]:
            row = connection.execute("SELECT secret_hash FROM users WHERE user_key = ?", (user_key,)).fetchone()
            return _get(connection, user_key), row["secret_hash"] if row else self._nobody

        user, kept = await self._database.read(read)
        async with self._hashing:
            is_right = await asyncio.to_thread(matches, secret, kept)
        return user if is_right else None

    async def rotate(self, user_key: str) -> str | None:
        """A new secret; the old one and all tokens are worth nothing any more. None where there is no such user."""
        secret = _random(SECRET_CHARACTERS)
        kept = await asyncio.to_thread(hash_secret, secret)
        now = int(self._clock())
        changed = await self._database.run(
            lambda connection: connection.execute(
                # Later than any token's time, also of one that was issued in this second, after another rotation.
                "UPDATE users SET secret_hash = ?, tokens_from = max(tokens_from, ?) + 1 WHERE user_key = ?",
                (kept, now, user_key),
            )
        )
        return secret if changed.rowcount else None

    async def remove(self, user_key: str) -> bool:
        """Forget a user; whether there was one. Raises LastAdmin."""

        def run(connection: sqlite3.Connection) -> bool:
            gone = connection.execute("DELETE FROM users WHERE user_key = ?", (user_key,))
            if gone.rowcount and not connection.execute("SELECT 1 FROM users WHERE role = 'admin' LIMIT 1").fetchone():
                raise LastAdmin
            return bool(gone.rowcount)

        return await self._database.run(run)

    async def _made(self, role: Role, buckets: Sequence[str]) -> tuple[User, str, str]:
        now = int(self._clock())
        user = User(_random(KEY_CHARACTERS), role, tuple(buckets), created_at=now, tokens_from=now)
        secret = _random(SECRET_CHARACTERS)
        return user, secret, await asyncio.to_thread(hash_secret, secret)


def _random(characters: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))


def _insert(connection: sqlite3.Connection, user: User, kept: str) -> None:
    connection.execute(
        f"INSERT INTO users ({_COLUMNS}, secret_hash) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
        (user.user_key, user.role, json.dumps(user.buckets), user.created_at, user.tokens_from, kept),
    )


def _get(connection: sqlite3.Connection, user_key: str) -> User | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM users WHERE user_key = ?", (user_key,)).fetchone()  # noqa: S608
    return _user(row) if row else None


def _user(row: sqlite3.Row) -> User:
    return User(**dict(row) | {"role": Role(row["role"]), "buckets": tuple(json.loads(row["buckets"]))})
