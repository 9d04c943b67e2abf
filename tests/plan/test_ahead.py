"""Streams that run ahead: in order, a few at once, and none left behind."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from bucketzip.plan.ahead import run_ahead


class Streams:
    """Makes streams of (number, item), and counts those that run."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.begun = 0

    async def stream(self, number: int, items: int = 3) -> AsyncGenerator[tuple[int, int], None]:
        self.running += 1
        self.begun += 1
        self.most = max(self.most, self.running)
        try:
            for item in range(items):
                await asyncio.sleep(0.001 * (number % 3))
                yield number, item
            if number == 13:
                raise LookupError("thirteen")
        finally:
            self.running -= 1


async def collect(items: AsyncGenerator[tuple[int, int], None], got: list[tuple[int, int]]) -> None:
    async for each in items:
        got.append(each)  # noqa: PERF401  -- what came before a failure counts


async def test_items_come_in_the_order_of_the_streams() -> None:
    streams = Streams()
    got = [each async for each in run_ahead(map(streams.stream, range(12)), streams_at_once=5, items_ahead=2)]
    assert got == [(number, item) for number in range(12) for item in range(3)]
    assert streams.most == 5
    assert not streams.running


async def test_one_that_breaks_is_heard_of_in_its_turn_and_ends_the_others() -> None:
    streams = Streams()
    got: list[tuple[int, int]] = []
    with pytest.raises(LookupError, match="thirteen"):
        await collect(run_ahead(map(streams.stream, range(10, 40)), streams_at_once=4, items_ahead=1), got)
    assert got == [(number, item) for number in range(10, 14) for item in range(3)]
    assert not streams.running


async def test_a_consumer_that_stops_ends_all() -> None:
    streams = Streams()
    async with aclosing(run_ahead(map(streams.stream, range(100)), streams_at_once=4, items_ahead=1)) as items:
        async for _ in items:
            break
    assert not streams.running
    assert streams.begun <= 4
