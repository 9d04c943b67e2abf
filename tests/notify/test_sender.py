"""The sender where things go wrong that are nobody's outside."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bucketzip.metrics import Metrics
from bucketzip.notify import sender as module
from bucketzip.notify.event import Event, Events
from bucketzip.notify.sender import Sender, Way
from bucketzip.state.capabilities import Capabilities
from bucketzip.state.database import Database, open_database
from bucketzip.state.deliveries import Deliveries, Delivery, Kind, State
from bucketzip.state.instance_key import InstanceKey
from bucketzip.state.jobs import Job, Jobs
from bucketzip.state.links import Links
from tests.jobs.making import made_job

# Of a release whose requests had other fields: only what is told, and to whom, can be read of it.
REQUEST = '{"callback_url": "https://receiver.test/", "unknown": 1}'


class Broken:
    """Sends nothing, since it has a mistake in it."""

    async def send(self, target: str, event: Event) -> str:
        raise RuntimeError(target)


class Heard:
    """Sends everything at once."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    async def send(self, target: str, event: Event) -> str:
        self.events.put_nowait(event)
        return "heard"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def sending(database: Database, way: Way) -> AsyncIterator[None]:
    events = Events(Jobs(database), Links(database), Capabilities(InstanceKey(b"k" * 32)), "https://zip.test")
    task = asyncio.create_task(Sender(Deliveries(database), events, {Kind.CALLBACK: way}, Metrics().deliveries).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def cancelled(database: Database) -> Job:
    """A job that is over, and is to be told of."""
    jobs = Jobs(database)
    job = await jobs.add(made_job(request=REQUEST))
    await jobs.request_cancel(job.id, "client")
    return job


async def attempted(database: Database, job: Job) -> Delivery:
    """Its delivery, once there was an attempt."""
    async with asyncio.timeout(120):
        while True:
            (delivery,) = await Deliveries(database).of(job.id)
            if delivery.attempts:
                return delivery
            await asyncio.sleep(0.01)


async def test_a_mistake_of_ours_is_an_attempt_like_any_other(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    job = await cancelled(database)
    async with sending(database, Broken()):
        delivery = await attempted(database, job)
    assert delivery.state is State.WAITING
    assert delivery.attempts[0].outcome == "something went wrong inside bucketzip; its log has the details"
    assert "RuntimeError: https://receiver.test/" in caplog.text


async def test_what_could_not_be_written_down_is_told_again(database: Database) -> None:
    job, way = await cancelled(database), Heard()

    def forbid(connection: sqlite3.Connection) -> None:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON deliveries BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        )

    await database.run(forbid)
    async with sending(database, way):
        first, second = [await asyncio.wait_for(way.events.get(), 120) for _ in range(2)]
        await database.run(lambda connection: connection.execute("DROP TRIGGER full"))
        delivery = await attempted(database, job)
    assert first.id == second.id == delivery.id
    assert (delivery.state, [each.outcome for each in delivery.attempts]) == (State.DELIVERED, ["heard"])
