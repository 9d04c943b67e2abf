"""Jobs that are cancelled, given up, shut down or in each other's way."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bucketzip.jobs import job_run, patience, runner
from bucketzip.jobs.widths import COPIES_AT_ONCE
from bucketzip.s3.client import READ_TIMEOUT_SECONDS
from bucketzip.state import database
from bucketzip.state.database import FILE_NAME
from bucketzip.state.job_states import State
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import LyingS3, Predicate, anything, does, lists
from tests.jobs.archiving import (
    KEY,
    MIB,
    SENDS,
    Client,
    Moment,
    assert_archived,
    assert_holds,
    assert_nothing_left,
    away,
    creates,
    fill,
    held,
    once_sent,
    receipted,
    sends,
    stored,
    times_sent,
)
from tests.jobs.conftest import Starts

pytestmark = pytest.mark.usefixtures("_no_back_off", "_soon_given_up")

TWO = {"1.bin": 11 * MIB, "2.bin": 12 * MIB}
EIGHT = {f"{number}.bin": 11 * MIB for number in range(8)}


@pytest.fixture
def _soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "CREATE_SECONDS", 0.3)


@pytest.fixture
def _undone_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "UNDO_SECONDS", 0.3)
    monkeypatch.setattr(runner, "LEFTOVERS_SECONDS", 0.05)


SHORTEST_LIMIT_SECONDS = READ_TIMEOUT_SECONDS
"""What ends sooner has not waited for S3, which never answers here."""


STEPS: dict[str, tuple[Callable[[], Predicate], bool]] = {
    "a listing": (lists, True),
    "the creation": (creates, False),
    "a copied part": (lambda: does("UploadPartCopy", KEY), True),
    "a built part": (lambda: does("UploadPart", KEY), True),
    "a list of parts": (lambda: does("ListParts", KEY), True),
    "the completion": (lambda: does("CompleteMultipartUpload"), False),
}
"""What a job waits for, and whether S3 does it though it does not answer."""


@pytest.mark.parametrize("step", STEPS)
async def test_a_job_is_cancelled_at_once_whatever_it_waits_for(stub: LyingS3, client: Client, step: str) -> None:
    fill(stub, TWO)
    predicate, done = STEPS[step]
    moment = Moment(stub, predicate(), done=done)
    job_id = await client.begin()
    await moment.come()
    moment.let_go()
    began = time.monotonic()
    await client.cancel(job_id)
    job = await client.until(job_id)
    assert time.monotonic() - began < SHORTEST_LIMIT_SECONDS
    assert (job["state"], job["cancel_reason"], job["result"]) == ("cancelled", "client", None)
    assert job["notes"] == []
    assert stub.objects.find(KEY, None) is None
    assert_nothing_left(stub)


async def test_one_whose_creation_is_not_answered_leaves_no_upload(stub: LyingS3, client: Client) -> None:
    fill(stub, TWO)
    moment = Moment(stub, creates())
    job_id = await client.begin()
    await moment.come()
    assert len(stub.uploads_left) == 1
    await client.cancel(job_id)
    assert (await client.until(job_id))["state"] == "cancelled"
    assert_nothing_left(stub)


async def test_the_answer_to_its_creation_is_waited_for(
    stub: LyingS3, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is the surest way to find the upload."""
    monkeypatch.setattr(job_run, "CREATE_SECONDS", 10)
    fill(stub, TWO)
    begun = asyncio.Event()

    def late(asked: Asked, honest: Reply) -> Reply:
        begun.set()
        return lies.slow_first_byte(0.5)(asked, honest)

    stub.on(creates(), late)
    job_id = await client.begin()
    await begun.wait()
    await client.cancel(job_id)
    assert (await client.until(job_id))["state"] == "cancelled"
    assert_nothing_left(stub)
    assert stub.counts["ListMultipartUploads"] == 0


async def test_one_that_s3_has_completed_has_succeeded(stub: LyingS3, client: Client) -> None:
    """It would not be true that it was cancelled: the archive is there."""
    contents = fill(stub, TWO)
    moment = Moment(stub, does("CompleteMultipartUpload"))
    job_id = await client.begin()
    await moment.come()
    moment.let_go()
    await client.cancel(job_id)
    job = await client.until(job_id)
    assert (job["state"], job["result"]["key"]) == ("succeeded", KEY)
    assert_archived(stub, contents)


@pytest.mark.usefixtures("_undone_later")
@pytest.mark.parametrize("silent", [False, True])
async def test_s3_is_away_when_it_is_cancelled(stub: LyingS3, client: Client, *, silent: bool) -> None:
    """It ends all the same, and what is left is aborted as soon as that is possible."""
    fill(stub, TWO)
    moment = Moment(stub, sends(), skip=2)
    job_id = await client.begin()
    await moment.come()
    stub.on(anything, held() if silent else away())
    await client.cancel(job_id)
    job = await client.until(job_id)
    assert job["state"] == "cancelled"
    assert "aborted later" in job["notes"][0]
    assert len(stub.uploads_left) == 1
    if not silent:  # a request that is not answered ends after 30 s
        await _undone(stub)


@pytest.mark.usefixtures("_undone_later")
async def test_patience_has_an_end(stub: LyingS3, state: Path, start: Starts) -> None:
    fill(stub, TWO)
    stub.on(once_sent(stub, 2), away())
    async with start(state, job_patience_seconds=1) as client:
        job = await client.failed()
        assert job["error"]["code"] == "s3_unreachable"
        assert len(stub.uploads_left) == 1
        await _undone(stub)


@pytest.mark.usefixtures("_no_back_off")
async def test_it_ends_for_an_upload_that_cannot_be_begun_too(stub: LyingS3, state: Path, start: Starts) -> None:
    """Between the tries S3 is asked for what they may have left, and that it answers is no luck."""
    fill(stub, TWO)
    stub.on(creates(), lies.internal_error())
    async with start(state, job_patience_seconds=1) as client:
        job = await client.failed()
    assert job["error"]["code"] == "s3_error"
    assert stub.counts["ListMultipartUploads"] > 1


async def test_what_s3_does_not_take_is_not_tried_again(stub: LyingS3, state: Path, start: Starts) -> None:
    """A storage class that it does not know, for example."""
    fill(stub, TWO)
    stub.on(creates(), lies.refuse(400, "InvalidStorageClass"))
    async with start(state) as client:
        job = await client.failed()
    assert job["error"]["code"] == "s3_refused"
    assert "InvalidStorageClass" in job["error"]["detail"]
    assert len([asked for asked in stub.requests if creates()(asked)]) == 1
    assert_nothing_left(stub)


async def test_s3_is_away_for_longer_than_anything_is_tried(
    stub: LyingS3, state: Path, start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute, scaled: many times the longest pause. What has a receipt is not sent again."""
    monkeypatch.setattr(patience, "LONGEST_PAUSE_SECONDS", 0.05)
    contents = fill(stub, EIGHT)
    unanswered = asyncio.Semaphore(0)

    def go(asked: Asked, honest: Reply) -> Reply:
        unanswered.release()
        return away()(asked, honest)

    stub.on(once_sent(stub, 5), go)
    async with start(state) as client:
        job_id = await client.begin()
        for _ in range(20):
            await unanswered.acquire()
        while not receipted(state):
            await asyncio.sleep(0.01)
        had, before = receipted(state), times_sent(stub)
        stub.stop_lying()
        job = await client.until(job_id)
    assert job["state"] == "succeeded", job
    assert_archived(stub, contents)
    assert had
    assert {part for part, times in times_sent(stub).items() if times > before[part]}.isdisjoint(had)


async def _undone(stub: LyingS3) -> None:
    """S3 is there again, and the upload soon is not."""
    looked = asyncio.Event()

    def look(asked: Asked, honest: Reply) -> Reply:
        looked.set()
        return honest

    stub.stop_lying()
    stub.on(does("ListParts", KEY), look)  # whether it is gone, once it was aborted
    async with asyncio.timeout(120):
        await looked.wait()
    assert_nothing_left(stub)


# The machine


@pytest.mark.parametrize("step", STEPS)
async def test_a_job_that_was_shut_down_goes_on_where_it_stood(
    stub: LyingS3, state: Path, start: Starts, step: str
) -> None:
    contents = fill(stub, TWO)
    predicate, done = STEPS[step]
    moment = Moment(stub, predicate(), done=done)
    async with start(state) as client:
        job_id = await client.begin()
        await moment.come()
        moment.let_go()
        began = time.monotonic()
    assert time.monotonic() - began < SHORTEST_LIMIT_SECONDS
    had = receipted(state)
    before = times_sent(stub)
    async with start(state) as client:
        job = await client.until(job_id)
    assert job["state"] == "succeeded", job
    assert_archived(stub, contents)
    assert {part for part, times in times_sent(stub).items() if times > before[part]}.isdisjoint(had)


async def test_a_cancelled_job_is_not_taken_up_again(stub: LyingS3, state: Path, start: Starts) -> None:
    """The server ended before it could see to it."""
    fill(stub, TWO)
    moment = Moment(stub, sends(), skip=2)
    async with start(state) as client:
        job_id = await client.begin()
        await moment.come()
    with closing(sqlite3.connect(state / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE jobs SET cancel_reason = 'client'")
    stub.stop_lying()
    stub.requests.clear()
    async with start(state) as client:
        assert (await client.until(job_id))["state"] == "cancelled"
    assert_nothing_left(stub)
    assert not stub.counts.keys() & {*SENDS, "ListObjectsV2", "GetObject"}


async def test_a_state_that_is_locked_for_long_only_delays_it(
    stub: LyingS3, state: Path, start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are there whose receipts cannot be kept: they are not sent again for that."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(runner, "AGAIN_SECONDS", 0.1)
    contents = fill(stub, EIGHT)
    async with start(state) as client:
        with closing(sqlite3.connect(state / FILE_NAME, isolation_level=None)) as connection:

            def lock(asked: Asked, honest: Reply) -> Reply:
                connection.execute("BEGIN IMMEDIATE")
                asyncio.get_running_loop().call_later(1, connection.execute, "ROLLBACK")
                return honest

            stub.on(sends(), lock, skip=4, times=1)
            await client.archived()
    assert_archived(stub, contents)
    assert set(times_sent(stub).values()) == {1}


def flip_a_bit(path: Path) -> None:
    manifest = bytearray(path.read_bytes())
    manifest[len(manifest) // 2] ^= 1
    path.write_bytes(manifest)


@pytest.mark.parametrize("lose", [Path.unlink, flip_a_bit, lambda path: path.write_bytes(b"")])
async def test_a_plan_that_is_lost_is_made_again(
    stub: LyingS3, state: Path, start: Starts, lose: Callable[[Path], None]
) -> None:
    contents = fill(stub, TWO)
    moment = Moment(stub, sends(), skip=2)
    async with start(state) as client:
        job_id = await client.begin()
        await moment.come()
        moment.let_go()
    for path in (state / "manifests").iterdir():
        lose(path)
    async with start(state) as client:
        job = await client.until(job_id)
    assert job["state"] == "succeeded", job
    assert_archived(stub, contents)
    assert job["notes"] == ["planned anew: its plan is not there any more, or damaged"]


async def test_a_request_of_another_release_fails(stub: LyingS3, state: Path, start: Starts) -> None:
    async with start(state, run_jobs=False) as client:
        job_id = await client.begin()
    with closing(sqlite3.connect(state / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE jobs SET request = '{\"sources\": 1}'")
    async with start(state) as client:
        job = await client.until(job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", "invalid_request")


# Jobs side by side


async def test_a_huge_job_does_not_starve_a_small_one(stub: LyingS3, client: Client) -> None:
    huge = {f"{number:02}.bin": 11 * MIB for number in range(24)}
    fill(stub, huge)
    fill(stub, TWO, prefix="small/")
    stub.on(sends(), lies.slow_first_byte(0.1))
    first = await client.begin()
    await client.until(first, State.RUNNING)
    second = await client.archived("s3://stub/small/", destination="s3://stub/out/small.zip")
    assert second["progress"]["of_bytes"] > 22 * MIB
    assert sum(times_sent(stub).values()) < 3 * COPIES_AT_ONCE, "the huge one has hardly begun"
    assert (await client.until(first))["state"] == "succeeded"


async def test_one_that_s3_has_trouble_with_does_not_hold_up_others(
    stub: LyingS3, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it pauses, nobody waits for it."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 1000.0)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_SECONDS", 1000.0)
    fill(stub, {f"{number:02}.bin": 11 * MIB for number in range(COPIES_AT_ONCE + 1)})
    contents = fill(stub, TWO, prefix="small/")
    stub.on(sends(), away())
    first = await client.begin()
    await client.until(first, State.RUNNING)
    await client.archived("s3://stub/small/", destination="s3://stub/out/small.zip")
    archive = stored(stub, "out/small.zip")
    assert_holds(archive, contents)
    assert len(stub.uploads_left) == 1, "the first one still waits"


async def test_two_jobs_to_one_place_leave_each_other_alone(stub: LyingS3, state: Path, start: Starts) -> None:
    """One of which was cut off while its upload was begun: it is looked for, and is not that of the other."""
    contents = fill(stub, TWO)
    begun = Moment(stub, sends(), skip=1)
    async with start(state) as client:
        first = await client.begin(if_exists="replace")
        await begun.come()
        created = Moment(stub, creates())
        second = await client.begin(if_exists="replace")
        await created.come()
        assert len(stub.uploads_left) == 2
    had = receipted(state)
    before = times_sent(stub)
    stub.stop_lying()
    async with start(state) as client:
        jobs = [await client.until(job_id) for job_id in (first, second)]
    assert [job["state"] for job in jobs] == ["succeeded", "succeeded"]
    assert [job["notes"] for job in jobs] == [[], []]
    assert_archived(stub, contents)
    assert {part for part, times in times_sent(stub).items() if times > before[part]}.isdisjoint(had)
    assert stub.counts["AbortMultipartUpload"] == 1 + 1, "that of the second, and a scratch upload"
