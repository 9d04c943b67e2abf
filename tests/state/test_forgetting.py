"""Sealed credentials are kept for as long as somebody needs them, and then not even the file has them."""

from pathlib import Path

import pytest

from bucketzip.errors import KeysExpired, NoSuchObject, NotResumable
from bucketzip.state.capabilities import hash_capability
from bucketzip.state.database import FILE_NAME, Database, open_database
from bucketzip.state.job_states import State
from bucketzip.state.jobs import Job, Jobs
from bucketzip.state.links import Link, Links
from tests.jobs.making import NOW, made_job
from tests.state.clock import Clock

SEALED = "c2VhbGVkIGNyZWRlbnRpYWxz"
RESUME_SECONDS = 1000


@pytest.fixture
def jobs(database: Database, clock: Clock) -> Jobs:
    return Jobs(database, clock, resume_seconds=RESUME_SECONDS)


def link(capability: str, **fields: str | int | None) -> Link:
    made = {"id": capability, "capability_hash": hash_capability(capability), "owner": "somebody", "filename": "a.zip"}
    times = {"request": "{}", "created_at": NOW, "expires_at": NOW + 100, "state": "planning", "credential": SEALED}
    return Link(**{**made, **times, **fields})  # type: ignore[arg-type]  # as the test says


async def credential(links: Links, capability: str) -> str | None:
    found = await links.get(capability)
    assert found is not None
    return found.credential


async def running(jobs: Jobs, **fields: object) -> Job:
    """A job whose upload is under way."""
    job = await jobs.claim(await jobs.add(made_job(credential=SEALED, **fields)), "runner")
    assert job is not None
    job = await jobs.transition(job.id, State.PLANNING, State.RUNNING, upload_id="upload", manifest="manifest")
    assert job is not None
    return job


async def known(jobs: Jobs, job: Job) -> Job:
    found = await jobs.get(job.id)
    assert found is not None
    return found


async def failed(jobs: Jobs, code: str = KeysExpired.code, **fields: object) -> Job:
    job = await running(jobs, **fields)
    await jobs.transition(job.id, State.RUNNING, State.FAILED, error_code=code, error_detail="why")
    return await known(jobs, job)


async def test_a_link_has_them_until_it_expires_or_is_revoked(database: Database) -> None:
    links = Links(database)
    for name, expires_at in (("live", NOW + 1), ("expired", NOW - 1), ("revoked", NOW + 1)):
        await links.add(link(name, expires_at=expires_at))
    await links.add(link("the server's", expires_at=NOW - 1, credential=None))
    await database.run(lambda connection: connection.execute("UPDATE links SET revoked_at = 1 WHERE id = 'revoked'"))
    await links.sweep(NOW)
    found = {name: await credential(links, name) for name in ("live", "expired", "revoked", "the server's")}
    assert found == {"live": SEALED, "expired": "", "revoked": "", "the server's": None}


async def test_a_link_that_is_revoked_loses_them_at_once_and_never_has_those_of_the_server(database: Database) -> None:
    """None stands for the server's own: who lost a link must not be served with those."""
    links = Links(database)
    await links.add(link("given"))
    await links.add(link("the server's", credential=None))
    for name in ("given", "the server's"):
        assert await links.revoke(name, NOW) is not None
    assert await credential(links, "given") == ""
    assert await credential(links, "the server's") is None


async def test_a_link_that_failed_or_changed_has_none(database: Database) -> None:
    links = Links(database)
    for name in ("failed", "changed"):
        await links.add(link(name))
    await links.failed(link("failed"), "failed", code="c", detail="d")
    await links.planned(link("changed"), manifest="m", size=1, entries=1, summary="{}")
    await links.failed(link("changed"), "changed", code="c", detail="d")
    assert [await credential(links, name) for name in ("failed", "changed")] == ["", ""]


async def test_a_job_has_them_until_its_upload_is_gone(jobs: Jobs) -> None:
    job = await failed(jobs, NoSuchObject.code)
    assert job.credential == SEALED, "to abort it with"
    assert await jobs.with_leftovers() == [job]
    await jobs.undone(job.id)
    assert (await known(jobs, job)).credential == ""


async def test_a_queued_job_that_is_cancelled_has_none(jobs: Jobs) -> None:
    job = await jobs.request_cancel((await jobs.add(made_job(credential=SEALED))).id, "client")
    assert job is not None
    assert (await known(jobs, job)).credential == ""


async def test_a_job_that_succeeded_has_them_until_its_result_expires(
    jobs: Jobs, database: Database, clock: Clock
) -> None:
    job = await running(jobs)
    await jobs.transition(job.id, State.RUNNING, State.FINISHING)
    await jobs.transition(job.id, State.FINISHING, State.SUCCEEDED, upload_id=None)
    await database.run(lambda connection: connection.execute("UPDATE jobs SET result_expires_at = ?", (NOW + 50,)))
    await jobs.sweep(1000)
    assert (await known(jobs, job)).credential == SEALED
    clock.now += 51
    await jobs.sweep(1000)
    assert (await known(jobs, job)).credential == ""


async def test_a_job_that_waits_for_others_keeps_all_that_it_has_until_the_time_is_over(
    jobs: Jobs, clock: Clock
) -> None:
    job = await failed(jobs)
    clock.now += RESUME_SECONDS - 1
    assert await jobs.with_leftovers() == []
    assert await jobs.sweep(10 * RESUME_SECONDS) == {"manifest"}
    assert (await known(jobs, job)).credential == SEALED
    clock.now += 2
    assert await jobs.with_leftovers() == [job]
    assert await jobs.sweep(10 * RESUME_SECONDS) == set()
    with pytest.raises(NotResumable):
        await jobs.resume(job.id, "others")
    await jobs.undone(job.id)
    assert (await known(jobs, job)).credential == ""


async def test_one_that_is_resumed_runs_on_with_others(jobs: Jobs) -> None:
    job = await failed(jobs)
    queued = await jobs.resume(job.id, "others")
    assert queued is not None
    assert (queued.state, queued.credential, queued.upload_id) == (State.QUEUED, "others", "upload")
    assert (queued.error_code, queued.error_detail, queued.finished_at) == (None, None, None)
    assert queued.revision > job.revision
    with pytest.raises(NotResumable):
        await jobs.resume(job.id, "more")
    claimed = await jobs.claim(queued, "runner")
    assert claimed is not None
    assert (claimed.state, claimed.started_at) == (State.RUNNING, job.started_at)


async def test_the_file_has_nothing_of_what_was_forgotten(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        links = Links(database)
        await links.add(link("expired", expires_at=NOW - 1, credential=SEALED * 500))  # a token may be long
    assert SEALED.encode() in (tmp_path / FILE_NAME).read_bytes()
    async with open_database(tmp_path) as database:
        await Links(database).sweep(NOW)
    assert_nowhere_in(tmp_path)


def assert_nowhere_in(directory: Path) -> None:
    for path in directory.iterdir():
        assert SEALED.encode() not in path.read_bytes()
