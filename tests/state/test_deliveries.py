"""The outbox: filled with the end of what it tells of, and emptied by nothing but delivery or giving up."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bucketzip.state import jobs as module
from bucketzip.state.database import Database, open_database
from bucketzip.state.deliveries import Attempt, Deliveries, Delivery, Kind, State
from bucketzip.state.job_states import State as JobState
from bucketzip.state.jobs import Job, Jobs
from bucketzip.state.links import Link, Links
from tests.jobs.making import NOW, made_job

URL = "https://hooks.example.com/hidden?key=hidden"
BOTH = f'{{"sources": ["s3://bucket/"], "callback_url": "{URL}", "email": "a@example.com"}}'
NEITHER = '{"sources": ["s3://bucket/"], "callback_url": null}'
CALLBACK = f'{{"callback_url": "{URL}"}}'
DAY = 86_400


@pytest.fixture
def deliveries(database: Database) -> Deliveries:
    return Deliveries(database)


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, lambda: NOW)


async def ended(jobs: Jobs, state: JobState = JobState.FAILED, request: str = CALLBACK) -> Job:
    """A job that is over now."""
    job = await jobs.add(made_job(request=request))
    assert await jobs.claim(job, "runner")
    steps = [JobState.PLANNING, JobState.RUNNING, JobState.FINISHING]
    for before, after in zip(steps, [*steps[1:], state] if state is JobState.SUCCEEDED else [state], strict=False):
        assert await jobs.transition(job.id, before, after)
    return job


async def only(deliveries: Deliveries, about: str) -> Delivery:
    (found,) = await deliveries.of(about)
    return found


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
async def test_the_end_of_a_job_is_to_be_told_to_whom_its_request_names(
    jobs: Jobs, deliveries: Deliveries, state: JobState
) -> None:
    job = await ended(jobs, state, BOTH)
    callback, email = await deliveries.of(job.id)
    assert callback.id != email.id
    assert (callback.kind, callback.target, callback.to) == (Kind.CALLBACK, URL, "hooks.example.com")
    assert (email.kind, email.target, email.to) == (Kind.EMAIL, "a@example.com", "a@example.com")
    for each in (callback, email):
        assert (each.about, each.event, each.state) == (job.id, f"archive.{state}", State.WAITING)
        assert (each.attempts, each.created_at, each.next_at) == ((), NOW, NOW)
    assert callback.as_json() == {
        "id": callback.id,
        "kind": "callback",
        "to": "hooks.example.com",
        "event": f"archive.{state}",
        "state": "waiting",
        "attempts": [],
        "next_at": "2023-11-14T22:13:20Z",
    }


async def test_nothing_is_told_of_a_job_that_names_nobody_or_is_not_over(jobs: Jobs, deliveries: Deliveries) -> None:
    quiet = await ended(jobs, request=NEITHER)
    queued = await jobs.add(made_job(request=BOTH))
    running = await jobs.add(made_job(request=BOTH))
    assert await jobs.claim(running, "runner")
    assert await jobs.request_cancel(running.id, "client")  # its runner will end it
    assert await jobs.record(running.id, bytes=1)
    assert await deliveries.of_each([quiet.id, queued.id, running.id]) == {}


async def test_an_end_is_told_once(jobs: Jobs, deliveries: Deliveries) -> None:
    job = await ended(jobs)
    assert await jobs.transition(job.id, JobState.PLANNING, JobState.FAILED) is None
    await jobs.undone(job.id)
    await jobs.note(job.id, "something")
    assert len(await deliveries.of(job.id)) == 1


async def test_a_queued_job_that_is_cancelled_is_told_of(jobs: Jobs, deliveries: Deliveries) -> None:
    job = await jobs.add(made_job(request=CALLBACK))
    await jobs.request_cancel(job.id, "client")
    assert (await only(deliveries, job.id)).event == "archive.cancelled"


async def test_a_job_does_not_end_unless_that_is_noted_to_be_told(
    jobs: Jobs, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction: what fails in it leaves the job as it was."""

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(module, "post_end_of_job", full)
    job = await jobs.add(made_job(request=CALLBACK))
    assert await jobs.claim(job, "runner")
    with pytest.raises(sqlite3.OperationalError):
        await jobs.transition(job.id, JobState.PLANNING, JobState.FAILED)
    kept = await jobs.get(job.id)
    assert kept is not None
    assert kept.state is JobState.PLANNING


def made_link(**fields: object) -> Link:
    values: dict[str, object] = {
        "id": "link",
        "capability_hash": b"hash",
        "owner": "o",
        "filename": "a.zip",
        "request": CALLBACK,
        "created_at": NOW,
        "expires_at": NOW + DAY,
        "state": "planning",
    }
    return Link(**values | fields)  # type: ignore[arg-type]  # as the test says


async def test_the_end_of_planning_is_told_and_what_comes_later_is_not(
    database: Database, deliveries: Deliveries
) -> None:
    links = Links(database)
    ready, failed = made_link(), made_link(id="other", capability_hash=b"other")
    for link in (ready, failed):
        await links.add(link)
    assert await deliveries.of(ready.id) == []
    for _ in range(2):
        await links.planned(ready, manifest="m", size=1, entries=1, summary="{}")
        await links.failed(failed, "failed", code="no_such_bucket", detail="d")
    await links.failed(ready, "changed", code="source_changed", detail="d")
    told = await deliveries.of_each([ready.id, failed.id, "unknown"])
    assert {about: [each.event for each in found] for about, found in told.items()} == {
        "link": ["download.ready"],
        "other": ["download.failed"],
    }


async def test_attempts_are_kept_and_decide_when_the_next_one_is_due(jobs: Jobs, deliveries: Deliveries) -> None:
    job = await ended(jobs)
    assert [each.about for each in await deliveries.due(NOW, limit=9)] == [job.id]
    await deliveries.attempted(await only(deliveries, job.id), Attempt(NOW, "HTTP 503"), State.WAITING, NOW + 10.5)
    assert await deliveries.due(NOW + 10, limit=9) == []
    again = await only(deliveries, job.id)
    assert await deliveries.due(NOW + 11, limit=9) == [again]
    await deliveries.attempted(again, Attempt(NOW + 11, "HTTP 204"), State.DELIVERED)
    done = await only(deliveries, job.id)
    assert (done.state, done.next_at) == (State.DELIVERED, None)
    assert done.attempts == (Attempt(NOW, "HTTP 503"), Attempt(NOW + 11, "HTTP 204"))
    assert done.as_json()["attempts"] == [
        {"at": "2023-11-14T22:13:20Z", "outcome": "HTTP 503"},
        {"at": "2023-11-14T22:13:31Z", "outcome": "HTTP 204"},
    ]
    assert await deliveries.due(NOW + DAY, limit=9) == []


async def test_first_attempts_go_before_those_of_who_never_answers(jobs: Jobs, deliveries: Deliveries) -> None:
    slow = [(await ended(jobs)).id for _ in range(3)]
    for each in slow:
        await deliveries.attempted(await only(deliveries, each), Attempt(NOW, "HTTP 503"), State.WAITING, NOW - 5)
    fresh = (await ended(jobs)).id
    first, second = await deliveries.due(NOW, limit=2)
    assert (first.about, second.about in slow) == (fresh, True)


async def test_what_waits_is_counted(jobs: Jobs, deliveries: Deliveries) -> None:
    assert await deliveries.waiting() == {Kind.CALLBACK: 0, Kind.EMAIL: 0}
    await ended(jobs, request=BOTH)
    done = await ended(jobs)
    assert await deliveries.waiting() == {Kind.CALLBACK: 2, Kind.EMAIL: 1}
    await deliveries.attempted(await only(deliveries, done.id), Attempt(NOW, "HTTP 404"), State.FAILED)
    assert await deliveries.waiting() == {Kind.CALLBACK: 1, Kind.EMAIL: 1}


async def test_a_job_is_kept_until_its_end_was_told_and_takes_that_along(
    database: Database, jobs: Jobs, deliveries: Deliveries
) -> None:
    job = await ended(jobs)
    later = Jobs(database, lambda: NOW + 3600)
    await later.sweep(60)
    told = await only(deliveries, job.id)
    await deliveries.attempted(told, Attempt(NOW, "HTTP 204"), State.DELIVERED)
    await later.sweep(60)
    assert await later.get(job.id) is None
    assert await deliveries.of(job.id) == []


async def test_a_link_that_is_forgotten_takes_what_was_told_along(database: Database, deliveries: Deliveries) -> None:
    links, link = Links(database), made_link()
    await links.add(link)
    await links.failed(link, "failed", code="no_such_bucket", detail="d")
    await links.sweep(NOW + 9 * DAY)
    assert await links.find(link.id) is None
    assert await deliveries.of(link.id) == []


async def test_two_processes_end_two_jobs_at_once(tmp_path: Path) -> None:
    async with open_database(tmp_path) as one, open_database(tmp_path) as other:
        first, second = await asyncio.gather(ended(Jobs(one)), ended(Jobs(other)))
        assert set(await Deliveries(one).of_each([first.id, second.id])) == {first.id, second.id}
