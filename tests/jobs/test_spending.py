"""What a job is told to have cost, whoever worked on it and when."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from bucketzip.jobs.prices import list_price_usd
from bucketzip.jobs.spending import Spending, counted_here
from bucketzip.state.job_states import State


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_seconds_are_those_in_which_somebody_worked() -> None:
    """The second process begins where the first one had written it down; what was between them is nobody's."""
    clock = Clock()
    first = Spending(clock=clock)
    first.enter(State.PLANNING)
    clock.now += 2
    first.enter(State.RUNNING)
    clock.now += 5
    written = first.as_json()
    clock.now += 100
    second = Spending(written, clock)
    clock.now += 1
    second.enter(State.RUNNING)
    clock.now += 3
    second.enter(State.PLANNING)
    clock.now += 4
    second.enter(State.FINISHING)
    assert second.phases() == {"planning": 6.0, "running": 8.0, "finishing": 0.0}
    clock.now += 1
    assert second.phases()["finishing"] == 1.0


def test_to_look_is_not_to_count_twice() -> None:
    clock = Clock()
    spending = Spending(clock=clock)
    spending.enter(State.RUNNING)
    for _ in range(3):
        clock.now += 1
        spending.as_json()
    assert json.loads(spending.as_json()) == {"seconds": {"running": 3.0}, "requests": {}}


async def test_a_request_is_counted_for_the_job_in_whose_tasks_it_is_sent() -> None:
    jobs = [Spending('{"requests": {"ListParts": 2}}'), Spending()]

    async def send(operation: str) -> None:
        await asyncio.sleep(0)
        if (spending := counted_here()) is not None:
            spending.count(operation)

    async def work(job: Spending, times: int) -> None:
        with job.counting():
            async with asyncio.TaskGroup() as group:
                for _ in range(times):
                    group.create_task(send("UploadPart"))
            await send("ListParts")
        await send("of nobody")

    await asyncio.gather(work(jobs[0], 3), work(jobs[1], 1), send("of nobody"))
    assert [job.requests() for job in jobs] == [{"ListParts": 3, "UploadPart": 3}, {"ListParts": 1, "UploadPart": 1}]


@pytest.mark.parametrize(
    ("requests", "usd"),
    [
        ({}, 0.0),
        ({"UploadPartCopy": 600, "ListObjectsV2": 400}, 0.005),
        ({"GetObject": 500, "HeadObject": 400, "GetBucketVersioning": 100}, 0.0004),
        ({"AbortMultipartUpload": 1000}, 0.0),
        ({"GetObject": 1}, 0.0000004),
    ],
)
def test_the_price_is_that_of_the_list(requests: dict[str, int], usd: float) -> None:
    assert list_price_usd(requests) == usd
