"""No more parts are under way than the gate lets in, none waits for ever, and SlowDown makes them fewer."""

import asyncio
import contextlib
import random

import pytest

from bucketzip.errors import S3Error, SlowDown
from bucketzip.s3.concurrency import LEAST
from bucketzip.s3.gate import Gate


class Crowd:
    """Those who want to pass a gate, and how many are inside at once."""

    def __init__(self, most: int) -> None:
        self.gate = Gate(most)
        self.inside = self.most_inside = 0
        self.passed: list[int] = []

    async def pass_(self, number: int, error: Exception | None = None, turns: int = 3) -> None:
        async with self.gate.turn():
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
                self.passed.append(number)
                if error is not None:
                    raise error
            finally:
                self.inside -= 1


async def test_all_pass_in_order_and_not_too_many_at_once() -> None:
    crowd = Crowd(4)
    await asyncio.gather(*(crowd.pass_(number) for number in range(50)))
    assert crowd.passed == list(range(50))
    assert crowd.most_inside == 4


async def test_slow_down_makes_them_fewer_and_is_told() -> None:
    crowd = Crowd(16)
    for number in range(30):
        with pytest.raises(SlowDown):
            await crowd.pass_(number, SlowDown())
    assert crowd.gate.limit == LEAST
    await asyncio.gather(*(crowd.pass_(number) for number in range(50)))
    assert crowd.most_inside == LEAST


async def test_other_errors_do_not() -> None:
    crowd = Crowd(16)
    for number in range(30):
        with pytest.raises(S3Error):
            await crowd.pass_(number, S3Error())
    await asyncio.gather(*(crowd.pass_(number) for number in range(50)))
    assert crowd.most_inside == 16


@pytest.mark.parametrize("seed", range(5))
async def test_whoever_leaves_the_queue_or_the_gate_takes_nobodys_turn(seed: int) -> None:
    dice = random.Random(seed)
    crowd = Crowd(3)
    tasks = [asyncio.create_task(crowd.pass_(number, turns=dice.randrange(5))) for number in range(60)]
    for _ in range(30):
        await asyncio.sleep(0)
        dice.choice(tasks).cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    crowd.most_inside = 0
    await asyncio.gather(*(crowd.pass_(number) for number in range(20)))
    assert crowd.most_inside == 3
