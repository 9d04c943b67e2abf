"""Listings in pages, the newest first. Rows are numbered in the order in which they come: a page stays where it was."""

import sqlite3
from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from bucketzip.errors import InvalidRequest

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """Some of them."""

    items: list[T]
    next: str | None
    """Where the next page starts; None for the last."""


def read_page(
    connection: sqlite3.Connection, select: str, conditions: Mapping[str, object], *, after: int | None, limit: int
) -> Page[sqlite3.Row]:
    """At most `limit` rows of `SELECT ... FROM table` that come after the one with the number `after`.

    `conditions` are expressions and what each is to equal; None lets everything pass.
    """
    wanted = {expression: value for expression, value in conditions.items() if value is not None}
    where = [f"({expression}) = ?" for expression in wanted] + (["rowid < ?"] if after is not None else [])
    rows = connection.execute(
        select.replace("SELECT ", "SELECT rowid AS place, ", 1)
        + (f" WHERE {' AND '.join(where)}" if where else "")
        + " ORDER BY rowid DESC LIMIT ?",
        [*wanted.values(), *([after] if after is not None else []), limit + 1],
    ).fetchall()
    return Page(rows[:limit], _cursor(rows[limit - 1]["place"]) if rows[limit:] else None)


def parse_after(cursor: str | None) -> int | None:
    """The number behind the `next` of a page; raises InvalidRequest where it is none."""
    if cursor is None:
        return None
    try:
        number = int(cursor, 16)
    except ValueError:
        number = 0
    if not 0 < number < 1 << 63 or _cursor(number) != cursor:
        raise InvalidRequest("after: this is no `next` of an earlier answer")
    return number


def _cursor(number: int) -> str:
    return f"{number:x}"
