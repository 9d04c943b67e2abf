"""Learned CRCs: found again by all that pins content, and by nothing less."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketzip.archive.manifest import Source
from bucketzip.state.crcs import KEPT_SECONDS, CrcTable
from bucketzip.state.database import open_database

OBJECT = Source("bucket", "key", '"etag"', "version")


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[CrcTable]:
    async with open_database(tmp_path) as database:
        yield CrcTable(database)


async def test_what_was_learned_is_recalled_in_the_order_asked(table: CrcTable) -> None:
    sources = [OBJECT._replace(key=f"{number}") for number in range(5)]
    await table.keep([(source, 10, number) for number, source in enumerate(sources) if number != 2])
    asked = [(source, 10) for source in (*reversed(sources), sources[0])]
    assert await table.recall(asked) == [4, 3, None, 1, 0, 0]


async def test_nothing_is_asked_or_kept(table: CrcTable) -> None:
    await table.keep([])
    assert await table.recall([]) == []


@pytest.mark.parametrize("crc", [0, 1, 0x8000_0000, 0xFFFF_FFFF])
async def test_any_crc_comes_back_as_it_was(table: CrcTable, crc: int) -> None:
    await table.keep([(OBJECT, 10, crc)])
    assert await table.recall([(OBJECT, 10)]) == [crc]


@pytest.mark.parametrize(
    "other",
    [
        OBJECT._replace(bucket="bucket2"),
        OBJECT._replace(key="key2"),
        OBJECT._replace(etag='"etag2"'),
        OBJECT._replace(version_id=""),
        OBJECT._replace(key="keyversion", version_id=""),
        OBJECT._replace(bucket="bucketkey", key=""),
    ],
)
async def test_other_content_is_not_known(table: CrcTable, other: Source) -> None:
    await table.keep([(OBJECT, 10, 5)])
    assert await table.recall([(other, 10), (OBJECT, 11), (OBJECT, 10)]) == [None, None, 5]


async def test_learning_again_replaces(table: CrcTable) -> None:
    await table.keep([(OBJECT, 10, 5)])
    await table.keep([(OBJECT, 10, 6)])
    assert await table.recall([(OBJECT, 10)]) == [6]


async def test_as_many_as_an_archive_has(table: CrcTable) -> None:
    many = [(OBJECT._replace(key=f"\u00fc {number}"), number) for number in range(2500)]
    await table.keep([(source, size, size * 3) for source, size in many])
    assert await table.recall(many) == [size * 3 for _, size in many]


async def test_they_survive_reopening(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await CrcTable(database).keep([(OBJECT, 10, 5)])
    async with open_database(tmp_path) as database:
        assert await CrcTable(database).recall([(OBJECT, 10)]) == [5]


async def test_what_is_older_than_any_link_is_forgotten(table: CrcTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    await table.keep([(OBJECT, 10, 5)])
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0 + KEPT_SECONDS + 1)
    await table.keep([(OBJECT._replace(key="other"), 10, 6)])
    assert await table.recall([(OBJECT, 10), (OBJECT._replace(key="other"), 10)]) == [None, 6]


async def test_what_was_refuted_is_not_recalled_and_stays_refuted(table: CrcTable) -> None:
    other = OBJECT._replace(version_id="newer")
    await table.keep([(OBJECT, 10, 1), (other, 10, 2)])
    await table.refute(OBJECT, 10)
    assert await table.recall([(OBJECT, 10), (other, 10)]) == [None, 2]
    assert await table.refuted([(other, 10), (OBJECT, 10), (OBJECT, 11)]) == [False, True, False]
    await table.keep([(OBJECT, 10, 3)])  # as it was read
    assert await table.recall([(OBJECT, 10)]) == [3]
    assert await table.refuted([(OBJECT, 10)]) == [True]
    await table.refute(OBJECT, 10)
    assert await table.refuted([]) == []
