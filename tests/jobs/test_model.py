"""What a job's owner is told, at any moment of any job."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bucketzip.jobs.model import TRANSITIONS, Job, State, as_json, progress
from bucketzip.state.job_states import FINAL, TAKEN
from tests.jobs.making import NOW, made_job

BYTES = st.integers(0, 50 << 40)
SECONDS = st.floats(-1e6, 1e9, allow_nan=False)


@st.composite
def some_jobs(draw: st.DrawFn, /, **fields: Any) -> Job:
    """Any row that there may be, and more."""
    return made_job(
        state=draw(st.sampled_from(State)),
        bytes=draw(st.none() | BYTES),
        entries=draw(st.none() | st.integers(0, 1 << 24)),
        copied_bytes_done=draw(BYTES),
        built_bytes_done=draw(BYTES),
        entries_done=draw(st.integers(0, 1 << 24)),
        pace_at=draw(st.none() | SECONDS.map(lambda seconds: NOW + seconds)),
        pace_bytes=draw(BYTES),
        **fields,
    )


def running(**fields: Any) -> Job:
    return made_job(state=State.RUNNING, pace_at=float(NOW), pace_bytes=0, **fields)


def test_every_state_is_reached_and_every_job_can_end() -> None:
    reached, ends = {State.QUEUED}, set(FINAL)
    for _ in State:
        reached |= {after for state in reached for after in TRANSITIONS[state]}
        ends |= {state for state in State if TRANSITIONS[state] & ends}
    assert reached == ends == set(State) == set(TRANSITIONS)


def test_the_table_says_what_the_states_are_for() -> None:
    assert set(FINAL) == {State.SUCCEEDED, State.FAILED, State.CANCELLED}
    assert {state for state in State if State.SUCCEEDED in TRANSITIONS[state]} == {State.FINISHING}
    assert {state for state in State if State.CANCELLED in TRANSITIONS[state]} == set(State) - set(FINAL)
    assert {state for state in State if State.FAILED in TRANSITIONS[state]} == set(TAKEN)
    assert {state for state in State if State.QUEUED in TRANSITIONS[state]} == {State.FAILED}, "with new credentials"
    assert all(state not in after for state, after in TRANSITIONS.items())


@given(st.lists(st.integers(0, 10), max_size=20))
def test_any_way_through_the_table_ends_for_good(choices: list[int]) -> None:
    state = State.QUEUED
    for choice in choices:
        if state.is_final:
            assert TRANSITIONS[state] <= {State.QUEUED}
            break
        state = sorted(TRANSITIONS[state])[choice % len(TRANSITIONS[state])]
        assert state in TAKEN or state.is_final


@given(some_jobs(), SECONDS)
def test_progress_is_possible_whatever_the_row_and_the_clock_say(job: Job, seconds: float) -> None:
    told = progress(job, NOW + seconds)
    assert told.bytes == told.copied_bytes + told.built_bytes
    assert told.bytes_per_second is None or told.bytes_per_second >= 0
    assert told.seconds_left is None or told.seconds_left >= 0
    if job.state is not State.RUNNING:
        assert told.bytes_per_second is None
    if told.bytes_per_second is None or told.of_bytes is None:
        assert told.seconds_left is None


@given(some_jobs(notes='["a"]', result='{"etag": "x"}'), SECONDS)
def test_a_job_is_always_json(job: Job, seconds: float) -> None:
    told = as_json(job, NOW + seconds)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@given(st.integers(1, 1 << 40), st.integers(1, 1 << 30), st.integers(0, 1 << 30), st.floats(1, 1e6, allow_nan=False))
def test_at_a_steady_pace_the_time_left_is_right(size: int, per_second: int, built: int, seconds: float) -> None:
    copied = math.floor(per_second * seconds)
    told = progress(
        running(bytes=size + copied + built, copied_bytes_done=copied, built_bytes_done=built), NOW + seconds
    )
    pace = (copied + built) / (NOW + seconds - NOW)
    assert told.bytes_per_second == math.floor(pace)
    assert told.seconds_left is not None
    assert math.isclose(told.seconds_left, size / pace, rel_tol=1e-9, abs_tol=1)


@given(BYTES, st.integers(0, 1 << 30), st.integers(1, 1 << 30), st.floats(1, 1e6, allow_nan=False))
def test_more_done_is_never_longer_to_go(size: int, done: int, more: int, seconds: float) -> None:
    before = progress(running(bytes=size, copied_bytes_done=done), NOW + seconds).seconds_left
    after = progress(running(bytes=size, copied_bytes_done=done + more), NOW + seconds).seconds_left
    assert after is not None
    assert before is None or after <= before


def test_what_stands_still_says_so() -> None:
    job = running(bytes=1000, copied_bytes_done=100)
    paces = [progress(job, NOW + seconds).bytes_per_second for seconds in (1, 10, 100, 1000)]
    assert paces == [100, 10, 1, 0]
    nothing = progress(running(bytes=1000), NOW + 60)
    assert (nothing.bytes_per_second, nothing.seconds_left) == (0, None)


def test_a_pace_of_a_moment_is_none() -> None:
    job = running(bytes=1000, copied_bytes_done=100)
    for seconds in (-5.0, 0.0, 0.9):
        assert progress(job, NOW + seconds).bytes_per_second is None


def test_a_job_that_was_just_accepted() -> None:
    job = made_job(id="i", key="a b.zip")
    assert as_json(job, NOW) == {
        "id": "i",
        "state": "queued",
        "destination": "s3://out/a b.zip",
        "created_at": "2023-11-14T22:13:20Z",
        "started_at": None,
        "finished_at": None,
        "progress": {
            "bytes": 0,
            "of_bytes": None,
            "entries": 0,
            "of_entries": None,
            "copied_bytes": 0,
            "built_bytes": 0,
            "bytes_per_second": None,
            "seconds_left": None,
        },
        "error": None,
        "cancel_reason": None,
        "notes": [],
        "result": None,
        "deliveries": [],
    }


def test_a_job_that_failed_says_why_and_one_that_succeeded_what_came_of_it() -> None:
    failed = as_json(made_job(state=State.FAILED, error_code="access_denied", error_detail="s3://x/y"), NOW)
    assert failed["error"] == {"code": "access_denied", "detail": "s3://x/y"}
    done = as_json(made_job(state=State.SUCCEEDED, result='{"etag": "e"}', notes='["n"]', finished_at=NOW), NOW)
    assert (done["notes"], done["finished_at"]) == (["n"], "2023-11-14T22:13:20Z")
    nothing = {"skipped": {"count": 0, "objects": []}, "link": None, "link_expires_at": None}
    assert done["result"] == {"etag": "e", **nothing}
