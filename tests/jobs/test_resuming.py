"""Jobs whose credentials run out while they run: they end at once, and go on with others where they stood."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bucketzip.jobs import runner
from bucketzip.state.database import FILE_NAME
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.lying_s3 import LyingS3, Predicate, does
from tests.jobs.archiving import (
    KEY,
    MIB,
    Client,
    assert_archived,
    assert_nothing_left,
    fill,
    once_sent,
    receipted,
    sends,
    times_sent,
)
from tests.jobs.conftest import Starts

SIX = {f"{number}.bin": 11 * MIB for number in range(6)}
OLD = {"access_key_id": "ASIAOLD", "secret_access_key": "old", "session_token": "OldToken"}
NEW = {"access_key_id": "ASIANEW", "secret_access_key": "new", "session_token": "NewToken"}


def signed_by(keys: dict[str, str]) -> Predicate:
    return lambda asked: f"Credential={keys['access_key_id']}/" in asked.headers.get("Authorization", "")


def both(*predicates: Predicate) -> Predicate:
    return lambda asked: all(each(asked) for each in predicates)


def any_of(*predicates: Predicate) -> Predicate:
    return lambda asked: any(each(asked) for each in predicates)


def credential_of(state: Path, job_id: str) -> str | None:
    with closing(sqlite3.connect(state / FILE_NAME)) as connection:
        (found,) = connection.execute("SELECT credential FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if found is None else str(found)


async def resumed(client: Client, job_id: str, credentials: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """The status and the answer."""
    url = f"{client._base}/archives/{job_id}/resume"
    async with client._http.post(url, json={"credentials": credentials}) as answer:
        return answer.status, await answer.json()


EXPIRES: dict[str, Predicate] = {
    "a listing": does("ListObjectsV2"),
    "a look at the destination": does("HeadObject", KEY),
    "a copy": does("UploadPartCopy", KEY),
    "a ranged GET": lambda asked: does("GetObject")(asked) and "User-Agent" not in asked.headers,
    "a part": does("UploadPart", KEY),
    "the completion": any_of(does("CompleteMultipartUpload", KEY), does("ListParts", KEY)),
}


@pytest.mark.parametrize("step", EXPIRES)
async def test_a_job_whose_keys_expire_ends_at_once_and_goes_on_with_others(
    stub: LyingS3, client: Client, state: Path, step: str
) -> None:
    contents = fill(stub, SIX)
    dead: list[Asked] = []

    def expires(asked: Asked) -> bool:
        """All that they sign from this step on."""
        if signed_by(OLD)(asked) and (dead or EXPIRES[step](asked)):
            dead.append(asked)
        return asked in dead

    stub.on(expires, lies.expired_token())
    job = await client.failed(credentials=OLD)
    assert job["error"]["code"] == "keys_expired"
    assert "the keys that came with the request" in job["error"]["detail"]
    had = receipted(state)
    status, told = await resumed(client, job["id"], NEW)
    assert status == 202, told
    assert (told["state"], told["error"], told["finished_at"]) == ("queued", None, None)
    told = await client.until(job["id"])
    assert told["state"] == "succeeded", told
    assert_archived(stub, contents)
    sent = times_sent(stub)
    assert all(sent[part] == 1 for part in had)
    assert all(signed_by(OLD)(asked) or signed_by(NEW)(asked) for asked in stub.requests)


async def test_keys_that_are_refused_may_be_put_right(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, SIX)
    stub.on(both(signed_by(OLD), once_sent(stub, 3)), lies.refuse(403, "InvalidAccessKeyId"))
    job = await client.failed(credentials=OLD)
    assert job["error"]["code"] == "keys_refused"
    await asyncio.gather(resumed(client, job["id"], NEW), resumed(client, job["id"], NEW))  # the second is refused
    assert (await client.until(job["id"]))["state"] == "succeeded"
    assert_archived(stub, contents)


async def test_only_jobs_that_failed_for_their_credentials_are_resumed(stub: LyingS3, client: Client) -> None:
    fill(stub, {"a": 1})
    done = await client.archived(credentials=OLD)
    failed = await client.failed("s3://stub/nothing/", credentials=OLD)
    for job_id in (done["id"], failed["id"]):
        status, told = await resumed(client, job_id, NEW)
        assert (status, told["error"]) == (409, "not_resumable")
    assert (await resumed(client, "0" * 32, NEW))[0] == 404


async def test_an_upload_that_waits_is_aborted_when_the_time_is_over(
    stub: LyingS3, client: Client, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LEFTOVERS_SECONDS", 0.05)
    fill(stub, SIX)
    stub.on(both(signed_by(OLD), sends()), lies.expired_token(), skip=3)
    job = await client.failed(credentials=OLD)
    assert len(stub.uploads_left) == 1
    assert credential_of(state, job["id"])
    with closing(sqlite3.connect(state / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("UPDATE jobs SET finished_at = finished_at - 86400")
    async with asyncio.timeout(120):
        while stub.uploads_left or credential_of(state, job["id"]):
            await asyncio.sleep(0.02)
    assert (await resumed(client, job["id"], NEW))[0] == 409


async def test_a_job_that_is_over_keeps_no_credentials(stub: LyingS3, client: Client, state: Path) -> None:
    fill(stub, {"a": 1})
    failed = await client.failed("s3://stub/nothing/", credentials=OLD)
    assert credential_of(state, failed["id"]) == ""
    assert_nothing_left(stub)


async def test_a_job_goes_on_with_its_credentials_after_a_restart(stub: LyingS3, state: Path, start: Starts) -> None:
    contents = fill(stub, SIX)
    async with start(state) as client:
        job_id = await client.begin(credentials=OLD)
        await client.until(job_id, "running")
    async with start(state) as client:
        assert (await client.until(job_id))["state"] == "succeeded"
    assert_archived(stub, contents)
    assert all(map(signed_by(OLD), stub.requests))
