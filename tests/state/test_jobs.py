"""Jobs and receipts: changed only in the order that makes sense, by whom they belong to, and kept through a kill."""

import asyncio
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bucketzip.errors import ArchiveFinished, IdempotencyConflict, InvalidRequest
from bucketzip.state.database import Database, open_database
from bucketzip.state.job_states import TAKEN, TRANSITIONS, State
from bucketzip.state.jobs import PACE_SECONDS, Job, Jobs
from bucketzip.state.receipts import Receipt, Receipts
from tests.jobs.making import NOW, made_job
from tests.state.clock import Clock

STEPS = {
    State.QUEUED: [],
    State.PLANNING: [State.PLANNING],
    State.RUNNING: [State.PLANNING, State.RUNNING],
    State.FINISHING: [State.PLANNING, State.RUNNING, State.FINISHING],
    State.SUCCEEDED: [State.PLANNING, State.RUNNING, State.FINISHING, State.SUCCEEDED],
    State.FAILED: [State.PLANNING, State.FAILED],
    State.CANCELLED: [State.CANCELLED],
}
"""How a job comes into each state."""


@pytest.fixture
def jobs(database: Database, clock: Clock) -> Jobs:
    return Jobs(database, clock)


async def known(jobs: Jobs, job: Job) -> Job:
    """The job as it stands now."""
    found = await jobs.get(job.id)
    assert found is not None
    return found


async def brought_to(jobs: Jobs, state: State, **fields: object) -> Job:
    """A job that has come to a state."""
    job = await jobs.add(made_job(**fields))
    for before, after in itertools.pairwise([State.QUEUED, *STEPS[state]]):
        moved = await (jobs.claim(job, "runner") if after is State.PLANNING else jobs.transition(job.id, before, after))
        assert moved is not None
        job = moved
    assert job.state is state
    return job


async def test_a_job_is_found_by_its_id_with_all_that_was_kept(jobs: Jobs) -> None:
    job = made_job(idempotency_key="k", priority=-3, manifest="m", checksums=True, bytes=5 << 40, notes='["n"]')
    assert await jobs.add(job) == job
    assert await jobs.get(job.id) == job
    assert await jobs.get("nobody's") is None


async def test_the_same_key_and_request_are_the_same_job(jobs: Jobs) -> None:
    first = await jobs.add(made_job(idempotency_key="key"))
    assert await jobs.add(made_job(idempotency_key="key")) == first
    taken = await jobs.claim(first, "runner")
    assert await jobs.add(made_job(idempotency_key="key")) == taken, "as it stands, whatever became of it"
    with pytest.raises(IdempotencyConflict):
        await jobs.add(made_job(idempotency_key="key", request_digest="other"))
    assert len((await jobs.page(limit=10)).items) == 1


async def test_keys_are_each_owners_own_and_none_is_no_key(jobs: Jobs) -> None:
    for job in (
        made_job(idempotency_key="key"),
        made_job(idempotency_key="key", owner="another", request_digest="other"),
        made_job(),
        made_job(),
    ):
        assert await jobs.add(job) == job


async def test_pages_are_the_newest_first_without_gap_or_double(jobs: Jobs) -> None:
    made = [await jobs.add(made_job()) for _ in range(7)]
    pages, after = [], None
    while True:
        page = await jobs.page(after=after, limit=3)
        pages.append(page.items)
        await jobs.add(made_job())  # what comes meanwhile is on no later page
        if (after := page.next) is None:
            break
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [job for page in pages for job in page] == made[::-1]


async def test_a_page_that_is_just_full_has_no_next(jobs: Jobs) -> None:
    for _ in range(3):
        await jobs.add(made_job())
    assert (await jobs.page(limit=3)).next is None
    assert (await jobs.page(limit=2)).next is not None


async def test_pages_of_one_state(jobs: Jobs) -> None:
    by_state = {state: [await brought_to(jobs, state) for _ in range(2)] for state in State}
    for state, expected in by_state.items():
        first = await jobs.page(state=state, limit=1)
        assert first.next is not None
        second = await jobs.page(state=state, after=first.next, limit=1)
        assert [*first.items, *second.items] == expected[::-1]
        assert second.next is None


@pytest.mark.parametrize("after", ["", "x", "0", "-1", "1 ", "01", "F", "1" * 17, "\u0661"])
async def test_a_cursor_of_ones_own_is_refused(jobs: Jobs, after: str) -> None:
    with pytest.raises(InvalidRequest, match="after"):
        await jobs.page(after=after, limit=1)


async def test_the_next_is_of_the_highest_priority_and_then_the_oldest(jobs: Jobs) -> None:
    queue = [await jobs.add(made_job(priority=priority)) for priority in (0, -10, 10, 0, 10)]
    order = []
    while (job := await jobs.next_queued()) is not None:
        order.append(queue.index(job))
        assert await jobs.claim(job, "runner") is not None
    assert order == [2, 4, 0, 3, 1]


async def test_a_job_is_claimed_once(jobs: Jobs, clock: Clock) -> None:
    job = await jobs.add(made_job())
    clock.now += 5
    claims = await asyncio.gather(*(jobs.claim(job, name) for name in "abc"))
    (claimed,) = [each for each in claims if each is not None]
    assert (claimed.state, claimed.started_at) == (State.PLANNING, NOW + 5)
    assert claimed.runner is not None
    assert claims["abc".index(claimed.runner)] is claimed


async def test_a_dead_runners_job_is_adopted_once_where_it_stands(jobs: Jobs) -> None:
    for state in TAKEN:
        job = await brought_to(jobs, state)
        adoptions = await asyncio.gather(*(jobs.adopt(job, name) for name in "abc"))
        (adopted,) = [each for each in adoptions if each is not None]
        assert adopted.state is state
        assert adopted.started_at == job.started_at
        assert await jobs.adopt(replace(job, runner="runner"), "late") is None


async def test_what_is_queued_or_over_is_not_adopted(jobs: Jobs) -> None:
    for state in set(State) - set(TAKEN):
        job = await brought_to(jobs, state)
        assert await jobs.adopt(job, "another") is None
        assert await known(jobs, job) == job


async def test_taken_are_those_of_any_runner_the_oldest_first(jobs: Jobs) -> None:
    made = [await brought_to(jobs, state) for state in State]
    assert await jobs.taken() == [job for job in made if job.state in TAKEN]


@pytest.mark.parametrize("before", State)
async def test_only_steps_of_the_table_are_taken(jobs: Jobs, clock: Clock, before: State) -> None:
    for after in State:
        job = await brought_to(jobs, before)
        clock.now += 7
        if after not in TRANSITIONS[before]:
            with pytest.raises(ValueError, match="no job goes from"):
                await jobs.transition(job.id, before, after)
            assert await known(jobs, job) == job
            continue
        moved = await jobs.transition(job.id, before, after, error_detail="why")
        assert moved is not None
        assert moved == await known(jobs, job)
        assert (moved.state, moved.error_detail) == (after, "why")
        assert moved.revision > job.revision
        assert moved.finished_at == (int(clock.now) if after.is_final else None)


async def test_a_step_from_another_state_than_the_jobs_does_nothing(jobs: Jobs) -> None:
    for state in State:
        job = await brought_to(jobs, state)
        for before in set(State) - {state}:
            for after in TRANSITIONS[before]:
                assert await jobs.transition(job.id, before, after, error_code="x") is None
        assert await known(jobs, job) == job


async def test_of_two_ends_the_first_stays(jobs: Jobs) -> None:
    job = await brought_to(jobs, State.FINISHING)
    ends = await asyncio.gather(
        jobs.transition(job.id, State.FINISHING, State.SUCCEEDED, result="{}"),
        jobs.transition(job.id, State.FINISHING, State.CANCELLED),
    )
    assert [end is None for end in ends] == [False, True]
    assert (await known(jobs, job)).state is State.SUCCEEDED


async def test_what_is_found_out_is_recorded_until_the_job_is_over(jobs: Jobs) -> None:
    job = await brought_to(jobs, State.PLANNING)
    recorded = await jobs.record(job.id, manifest="m", upload_id="u", checksums=False, parts=9, key="a (2).zip")
    assert recorded is not None
    assert recorded == await known(jobs, job)
    assert (recorded.manifest, recorded.upload_id, recorded.checksums, recorded.parts) == ("m", "u", False, 9)
    assert recorded.key == "a (2).zip"
    assert recorded.revision > job.revision
    forgotten = await jobs.record(job.id, upload_id=None, checksums=None)
    assert forgotten is not None
    assert (forgotten.upload_id, forgotten.checksums, forgotten.manifest) == (None, None, "m")
    for state in set(State):
        job = await brought_to(jobs, state)
        assert (await jobs.record(job.id, parts=1) is None) == state.is_final


async def test_notes_are_added_once_in_order(jobs: Jobs) -> None:
    job = await jobs.add(made_job())
    for text in ("b", "a", "b"):
        await jobs.note(job.id, text)
    noted = await known(jobs, job)
    assert json.loads(noted.notes) == ["b", "a"]
    assert noted.revision == job.revision + 2
    await jobs.note("nobody's", "x")


async def test_progress_is_seen_and_says_nothing_of_a_job_that_is_over(jobs: Jobs) -> None:
    for state in State:
        job = await brought_to(jobs, state)
        await jobs.progress(job.id, copied_bytes=5, built_bytes=7, entries=2)
        now = await known(jobs, job)
        if state in TAKEN:
            assert (now.copied_bytes_done, now.built_bytes_done, now.entries_done) == (5, 7, 2)
            assert now.revision > job.revision
        else:
            assert now == job


async def test_the_pace_is_measured_from_half_a_minute_to_a_minute_ago(jobs: Jobs, clock: Clock) -> None:
    """Ten bytes a second for 100 s, then none: the pace is of late, not of ever."""
    job = await brought_to(jobs, State.RUNNING)
    for second in range(100):
        clock.now = NOW + second
        await jobs.progress(job.id, copied_bytes=8 * second, built_bytes=2 * second, entries=0)
        seen = await known(jobs, job)
        assert seen.pace_at is not None
        assert seen.pace_bytes == 10 * (seen.pace_at - NOW)
        assert min(second, PACE_SECONDS) <= second - (seen.pace_at - NOW) < 2 * PACE_SECONDS


async def test_the_pace_starts_anew_with_another_runner_or_state(jobs: Jobs, clock: Clock) -> None:
    """Nobody worked on it between the two, and what was done is counted anew."""
    job = await brought_to(jobs, State.RUNNING)
    await jobs.progress(job.id, copied_bytes=1000, built_bytes=0, entries=0)
    clock.now += 10_000
    adopted = await jobs.adopt(job, "another")
    assert adopted is not None
    assert adopted.pace_at is None
    await jobs.progress(job.id, copied_bytes=900, built_bytes=0, entries=0)
    seen = await known(jobs, job)
    assert (seen.pace_at, seen.pace_bytes) == (clock.now, 900)
    moved = await jobs.transition(job.id, State.RUNNING, State.FINISHING)
    assert moved is not None
    assert moved.pace_at is None


async def test_a_queued_job_is_cancelled_at_once(jobs: Jobs, clock: Clock) -> None:
    job = await jobs.add(made_job())
    clock.now += 3
    cancelled = await jobs.request_cancel(job.id, "client")
    assert cancelled is not None
    assert cancelled == await known(jobs, job)
    assert (cancelled.state, cancelled.cancel_reason, cancelled.finished_at) == (State.CANCELLED, "client", NOW + 3)
    assert cancelled.revision > job.revision
    assert await jobs.claim(job, "runner") is None
    assert await jobs.next_queued() is None


async def test_a_taken_job_is_left_to_its_runner_and_the_first_reason_stays(jobs: Jobs) -> None:
    for state in TAKEN:
        job = await brought_to(jobs, state)
        asked = await jobs.request_cancel(job.id, "client")
        assert asked is not None
        assert (asked.state, asked.cancel_reason, asked.finished_at) == (state, "client", None)
        assert asked.revision > job.revision
        assert await jobs.request_cancel(job.id, "again") == asked


async def test_what_is_over_is_not_cancelled(jobs: Jobs) -> None:
    for state in State:
        if state.is_final:
            job = await brought_to(jobs, state)
            with pytest.raises(ArchiveFinished, match=state):
                await jobs.request_cancel(job.id, "late")
            assert await known(jobs, job) == job
    assert await jobs.request_cancel("nobody's", "client") is None


async def test_jobs_are_counted_by_state(jobs: Jobs) -> None:
    assert await jobs.counts() == dict.fromkeys(State, 0)
    for state in (State.QUEUED, State.QUEUED, State.RUNNING, State.FAILED):
        await brought_to(jobs, state)
    counts = await jobs.counts()
    assert (counts[State.QUEUED], counts[State.RUNNING], counts[State.FAILED]) == (2, 1, 1)
    assert sum(counts.values()) == 4


async def test_the_sweep_forgets_what_ended_long_ago_and_its_receipts(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    receipts = Receipts(database)
    kept = {state: await brought_to(jobs, state, idempotency_key=state) for state in State}
    for job in kept.values():
        await receipts.keep(job.id, Receipt(1, "e", 5, 0, b""))
    clock.now += 100
    assert await jobs.sweep(100) == set()
    assert [await jobs.get(job.id) for job in kept.values()] == list(kept.values())
    await jobs.sweep(99)
    for state, job in kept.items():
        assert (await jobs.get(job.id) is None) == state.is_final
        assert (await receipts.all(job.id) == []) == state.is_final
    again = made_job(idempotency_key=State.FAILED, request_digest="other")
    assert await jobs.add(again) == again, "the key is free again"


async def test_the_sweep_leaves_jobs_whose_link_still_works(jobs: Jobs, clock: Clock) -> None:
    job = await brought_to(jobs, State.FINISHING)
    await jobs.transition(job.id, State.FINISHING, State.SUCCEEDED, result_expires_at=int(clock.now) + 100)
    clock.now += 99
    await jobs.sweep(10)
    assert await jobs.get(job.id) is not None
    clock.now += 1
    await jobs.sweep(10)
    assert await jobs.get(job.id) is None


async def test_what_it_cost_is_kept_and_nobody_is_told(jobs: Jobs) -> None:
    job = await brought_to(jobs, State.RUNNING)
    await jobs.spent(job.id, '{"seconds": {"running": 1.0}}')
    now = await known(jobs, job)
    assert (now.spent, now.revision) == ('{"seconds": {"running": 1.0}}', job.revision)
    ended = await jobs.transition(job.id, State.RUNNING, State.FAILED, spent="{}")
    await jobs.spent(job.id, "of a process that was late")
    assert await known(jobs, job) == ended


async def test_a_job_is_found_by_the_link_to_its_result(jobs: Jobs) -> None:
    first, second = [await jobs.add(made_job(result_capability_hash=each)) for each in (b"1", b"2")]
    await jobs.add(made_job())
    assert [await jobs.by_result(each) for each in (b"1", b"2", b"3")] == [first, second, None]


async def test_the_sweep_tells_the_manifests_of_jobs_that_are_not_over(jobs: Jobs) -> None:
    for state in State:
        job = await brought_to(jobs, state, manifest=f"of {state}")
        assert job.manifest == f"of {state}"
    await brought_to(jobs, State.RUNNING, manifest="of running")
    assert await jobs.sweep(1000) == {"of queued", "of planning", "of running", "of finishing"}


async def test_what_is_left_of_jobs_that_are_over_is_known_until_it_is_not(jobs: Jobs) -> None:
    left = []
    for state in State:
        by_id = await brought_to(jobs, state, upload_id=f"of {state}")
        by_time = await brought_to(jobs, state, creating_at=NOW + 0.5)
        await brought_to(jobs, state)
        left += [by_id, by_time] if state.is_final else []
    assert await jobs.upload_ids() == {f"of {state}" for state in State}
    assert await jobs.with_leftovers() == left
    for job in left:
        await jobs.undone(job.id)
    assert await jobs.with_leftovers() == []
    assert await jobs.upload_ids() == {f"of {state}" for state in State if not state.is_final}


async def test_receipts_are_kept_by_job_and_part(jobs: Jobs, database: Database) -> None:
    receipts = Receipts(database)
    one, other = [await jobs.add(made_job()) for _ in range(2)]
    for part in (10_000, 1, 2):
        await receipts.keep(one.id, Receipt(part, f"e{part}", 5 << 30, 0xFFFFFFFF, b"\0pieces"))
    await receipts.keep(other.id, Receipt(2, "theirs", 1, 2, b""))
    await receipts.keep(one.id, Receipt(2, "again", 3, 4, b"x"))
    assert await receipts.all(one.id) == [
        Receipt(1, "e1", 5 << 30, 0xFFFFFFFF, b"\0pieces"),
        Receipt(2, "again", 3, 4, b"x"),
        Receipt(10_000, "e10000", 5 << 30, 0xFFFFFFFF, b"\0pieces"),
    ]
    await receipts.drop(one.id, [1, 10_000, 77])
    assert [receipt.part for receipt in await receipts.all(one.id)] == [2]
    await receipts.drop_all(one.id)
    assert await receipts.all(one.id) == []
    assert len(await receipts.all(other.id)) == 1
    assert await receipts.all("nobody's") == []


WRITER = """
import asyncio, sys
from pathlib import Path
from bucketzip.state.database import open_database
from bucketzip.state.jobs import Jobs
from bucketzip.state.receipts import Receipt, Receipts
async def main():
    async with open_database(Path(sys.argv[1])) as database:
        for part in range(1, 100_000):
            await Jobs(database).progress(sys.argv[2], copied_bytes=part, built_bytes=0, entries=0)
            await Receipts(database).keep(sys.argv[2], Receipt(part, "e", part, 0, b""))
            print(part, flush=True)
asyncio.run(main())
"""


async def test_receipts_and_progress_survive_a_kill(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        jobs = Jobs(database)
        job = await brought_to(jobs, State.RUNNING)
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(tmp_path), job.id, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(30):
            await writer.stdout.readline()
        writer.kill()
        told = 30 + len((await writer.stdout.read()).split())
        await writer.wait()
        kept = await Receipts(database).all(job.id)
        assert [receipt.part for receipt in kept[:told]] == list(range(1, told + 1))
        assert (await known(jobs, job)).copied_bytes_done >= told


async def test_how_long_jobs_wait(jobs: Jobs, clock: Clock) -> None:
    assert await jobs.waits() == (0, 0)
    first = await jobs.add(made_job(created_at=NOW))
    await jobs.add(made_job(created_at=NOW + 5))
    clock.now += 20
    assert await jobs.waits() == (20, 0)
    claimed = await jobs.claim(first, "us")
    assert claimed is not None
    clock.now += 100
    assert await jobs.waits() == (115, 100), "of the second one, and of the first since it was begun"
    await jobs.progress(first.id, copied_bytes=1, built_bytes=0, entries=0)
    assert await jobs.waits() == (115, 0)
    clock.now += 7
    assert (await jobs.waits()).still == 7
    await jobs.transition(first.id, claimed.state, State.FAILED)
    assert await jobs.waits() == (122, 0)
