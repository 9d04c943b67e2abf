"""How long, and what for, a job is tried again."""

import asyncio
import errno
import sqlite3
from collections.abc import Awaitable, Callable

import pytest

from bucketzip.errors import AccessDenied, S3Unreachable
from bucketzip.jobs.patience import Patience, not_broken_off
from tests.clock import standing_still

pytestmark = pytest.mark.usefixtures("_no_back_off")


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """Something that fails so, one after the other, and then goes well."""
    left = list(errors)

    async def do() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return do


@pytest.mark.parametrize(
    "error",
    [
        S3Unreachable("away"),
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("database is locked"),
        OSError(errno.ENOSPC, "no space left on device"),
    ],
    ids=str,
)
async def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert await Patience(60).with_(failing(error, error, error)) == "done"


@pytest.mark.parametrize("error", [AccessDenied("no"), ValueError("a mistake"), sqlite3.IntegrityError("another")])
async def test_what_does_not_is_not(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        await Patience(60).with_(failing(error))


async def test_it_ends_when_nothing_went_well_for_so_long() -> None:
    with standing_still() as clock:
        began = clock.now
        trying = asyncio.create_task(Patience(0.2).with_(failing(*[S3Unreachable()] * 1000)))
        await clock.run(trying.done, idle=lambda: True)
        with pytest.raises(S3Unreachable):
            await trying
        assert 0.2 < clock.now - began < 0.5


async def test_only_failures_count() -> None:
    """Not what takes long and goes well, nor what failed before that."""
    patience = Patience(0.1)
    with standing_still() as clock:
        for _ in range(3):
            trying = asyncio.create_task(patience.with_(failing(S3Unreachable())))
            await clock.run(trying.done, idle=lambda: True)
            assert await trying == "done"
            await clock.move(0.15)


async def test_one_that_goes_well_is_luck_for_all() -> None:
    patience = Patience(0.2)
    with standing_still() as clock:
        began = clock.now
        trying = asyncio.create_task(patience.with_(failing(*[S3Unreachable()] * 100)))
        while not trying.done():
            await clock.move(0.1)
            await patience.with_(failing())
        assert await trying == "done"
        assert clock.now - began > 0.4, "longer than its patience"


async def test_what_must_not_be_broken_off_is_waited_for() -> None:
    done = asyncio.Event()

    async def do() -> str:
        await asyncio.sleep(0.05)
        done.set()
        return "done"

    assert await not_broken_off(do(), seconds=0) == "done"
    done.clear()
    task = asyncio.create_task(not_broken_off(do(), seconds=5))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_but_not_for_ever() -> None:
    ended = asyncio.Event()

    async def do() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(not_broken_off(do(), seconds=0.05))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
