"""Jobs from the side of who asks for them; a runner's changes are made through the store, as it makes them."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketzip.errors import ArchiveFinished, DestinationInSource, IdempotencyConflict, NoSuchArchive
from bucketzip.jobs import requested
from bucketzip.jobs.archives import LOOK_SECONDS, Archives
from bucketzip.jobs.model import Job, State
from bucketzip.metrics import Metrics
from bucketzip.state.capabilities import Capabilities
from bucketzip.state.database import open_database
from bucketzip.state.instance_key import KEY_BYTES, InstanceKey
from bucketzip.state.jobs import Jobs
from tests.jobs.making import archive_request
from tests.plan.planning import SEALING


class Machine:
    """A table of jobs and what is made of it."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.woken = 0
        self.metrics = Metrics()
        self.archives = Archives(
            jobs,
            SEALING,
            self._wake,
            capabilities=Capabilities(InstanceKey(bytes(KEY_BYTES))),
            outcomes=self.metrics.archives_ended,
        )

    def _wake(self) -> None:
        self.woken += 1

    def cancelled(self) -> float | None:
        return self.metrics.registry.get_sample_value("bucketzip_archives_total", {"outcome": "cancelled"})

    async def running(self) -> Job:
        """A job that runs."""
        job, _ = await self.archives.create(archive_request(), "owner")
        assert await self.jobs.claim(job, "runner") is not None
        moved = await self.jobs.transition(job.id, State.PLANNING, State.RUNNING)
        assert moved is not None
        return moved

    async def end(self, job: Job) -> None:
        await self.jobs.transition(job.id, State.RUNNING, State.FINISHING)
        await self.jobs.transition(job.id, State.FINISHING, State.SUCCEEDED)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with open_database(tmp_path) as database:
        yield Machine(Jobs(database))


async def test_a_job_is_accepted_and_its_runner_woken(machine: Machine) -> None:
    asked = archive_request("s3://bucket/a", destination="s3://out/x/a.zip", priority=7)
    before = int(time.time())
    job, new = await machine.archives.create(asked, "owner", "key")
    assert new
    assert machine.woken == 1
    assert (job.state, job.owner, job.priority) == (State.QUEUED, "owner", 7)
    assert (job.bucket, job.key) == ("out", "x/a.zip")
    assert before <= job.created_at <= time.time()
    assert requested.read(job) == asked
    assert await machine.archives.get(job.id) == job
    assert await machine.jobs.next_queued() == job


async def test_ids_and_tokens_are_random(machine: Machine) -> None:
    jobs = [(await machine.archives.create(archive_request(), "owner"))[0] for _ in range(20)]
    secrets = {job.id for job in jobs} | {job.token for job in jobs}
    assert len(secrets) == 40
    assert {len(each) for each in secrets} == {32}


async def test_asking_again_with_the_same_key_is_the_same_job(machine: Machine) -> None:
    first, _ = await machine.archives.create(archive_request(), "owner", "key")
    again = await asyncio.gather(*(machine.archives.create(archive_request(), "owner", "key") for _ in range(5)))
    assert again == [(first, False)] * 5
    with pytest.raises(IdempotencyConflict):
        await machine.archives.create(archive_request(root="r"), "owner", "key")
    others = [await machine.archives.create(archive_request(), "owner", key) for key in (None, None, "another")]
    assert [new for _, new in others] == [True] * 3


async def test_an_archive_over_its_own_source_is_no_job(machine: Machine) -> None:
    with pytest.raises(DestinationInSource):
        await machine.archives.create(archive_request("s3://out/a.zip", destination="s3://out/a.zip"), "owner")
    assert (await machine.archives.page(limit=1)).items == []


async def test_an_unknown_job_is_none(machine: Machine) -> None:
    with pytest.raises(NoSuchArchive):
        await machine.archives.get("nobody's")
    with pytest.raises(NoSuchArchive):
        await machine.archives.cancel("nobody's", "client")
    with pytest.raises(NoSuchArchive):
        await anext(machine.archives.watch("nobody's"))


async def test_a_queued_job_is_cancelled_and_counted_here(machine: Machine) -> None:
    job, _ = await machine.archives.create(archive_request(), "owner")
    cancelled = await machine.archives.cancel(job.id, "client")
    assert (cancelled.state, cancelled.cancel_reason) == (State.CANCELLED, "client")
    assert machine.cancelled() == 1
    with pytest.raises(ArchiveFinished, match="cancelled"):
        await machine.archives.cancel(job.id, "client")
    assert machine.cancelled() == 1


async def test_a_running_job_is_cancelled_and_counted_by_its_runner(machine: Machine) -> None:
    job = await machine.running()
    for _ in range(2):
        assert (await machine.archives.cancel(job.id, "client")).state is State.RUNNING
    assert machine.cancelled() is None


async def test_who_watches_is_told_the_state_at_once_and_all_to_the_end(machine: Machine) -> None:
    job = await machine.running()
    seen = []
    async for now in machine.archives.watch(job.id):
        seen.append((now.state, now.copied_bytes_done))
        if len(seen) == 1:
            await machine.jobs.progress(job.id, copied_bytes=5, built_bytes=0, entries=0)
        elif len(seen) == 2:
            await machine.end(job)
    assert seen == [(State.RUNNING, 0), (State.RUNNING, 5), (State.SUCCEEDED, 5)]


async def test_who_has_seen_a_revision_is_told_what_comes_after_it(machine: Machine) -> None:
    job = await machine.running()
    watch = machine.archives.watch(job.id, job.revision)
    coming = asyncio.ensure_future(anext(watch))
    assert not (await asyncio.wait([coming], timeout=2 * LOOK_SECONDS))[0], "nothing is new"
    await machine.jobs.note(job.id, "something")
    assert (await coming).revision == job.revision + 1
    await watch.aclose()


async def test_a_revision_that_is_not_there_any_more_is_no_reason_to_wait(machine: Machine) -> None:
    """A machine that lost its power may have forgotten some progress that it had told."""
    job = await machine.running()
    watch = machine.archives.watch(job.id, job.revision + 100)
    assert await anext(watch) == job
    await watch.aclose()


async def test_a_job_that_is_over_is_told_once(machine: Machine) -> None:
    job = await machine.running()
    await machine.end(job)
    over = await machine.archives.get(job.id)
    assert [each async for each in machine.archives.watch(job.id)] == [over]
    assert [each async for each in machine.archives.watch(job.id, over.revision)] == []


async def test_changes_come_four_times_a_second_at_most_and_who_is_slow_gets_the_last(machine: Machine) -> None:
    job = await machine.running()
    over = asyncio.Event()

    async def work() -> None:
        for done in range(200):
            await machine.jobs.progress(job.id, copied_bytes=done, built_bytes=0, entries=0)
            await asyncio.sleep(0.005)
        await machine.end(job)
        over.set()

    working = asyncio.create_task(work())
    began = time.monotonic()
    seen = []
    async for now in machine.archives.watch(job.id):
        seen.append(now.copied_bytes_done)
        if len(seen) == 2:
            await over.wait()  # a slow reader
    await working
    assert len(seen) <= 2 + (time.monotonic() - began) / LOOK_SECONDS
    assert seen == [*sorted(set(seen) - {199}), 199]
    assert len(seen) == 3


async def test_silence_is_told(machine: Machine) -> None:
    job = await machine.running()
    watch = machine.archives.watch(job.id, quiet_seconds=0.3)
    assert [(await anext(watch)).revision for _ in range(3)] == [job.revision] * 3
    await watch.aclose()


async def test_closing_ends_all_watching_at_once(machine: Machine) -> None:
    job = await machine.running()
    seen: list[Job] = []
    first = asyncio.Event()

    async def watch() -> None:
        async for now in machine.archives.watch(job.id):
            seen.append(now)
            first.set()

    watching = asyncio.create_task(watch())
    await first.wait()
    machine.archives.close()
    await watching
    assert seen == [job]
