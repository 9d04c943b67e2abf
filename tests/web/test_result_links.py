"""Links to what jobs made: whoever has one gets the archive, from S3 itself, until the link expires."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bucketzip.archive.crc import crc32
from bucketzip.jobs.links import SIGNED_SECONDS
from bucketzip.state.capabilities import Capabilities
from bucketzip.state.instance_key import load_instance_key
from bucketzip.state.job_states import State
from bucketzip.state.jobs import Jobs
from tests.bucket import Bucket
from tests.faults.lying_s3 import LyingS3
from tests.jobs.archiving import KEY, Client, fill
from tests.web.serving import Server, serving, stub_environment

WANTED = {"sources": ["s3://stub/in/"], "destination": f"s3://stub/{KEY}"}


async def test_it_leads_to_the_archive_under_its_own_name(server: Server, bucket: Bucket) -> None:
    await bucket.put_many({"in/a": b"a" * 1000, "in/b": b"b"})
    job = await Client(server.client, server.base).archived(
        bucket.url("in/"), destination=bucket.url("out/\u00fc b+c.zip")
    )
    result = job["result"]
    assert result["link"].startswith(f"{server.base}/r/")
    async with server.client.get(result["link"]) as answer:
        archive = await answer.read()
        assert answer.url.path == f"/{bucket.name}/out/\u00fc b+c.zip", "S3 itself serves it"
        assert "filename*=UTF-8''%C3%BC%20b+c.zip" in answer.headers["Content-Disposition"]
    assert (len(archive), crc32(archive)) == (result["bytes"], int(result["crc32"], 16))
    async with server.client.head(result["link"], allow_redirects=True) as answer:
        assert (answer.status, answer.content_length) == (200, result["bytes"])


async def test_the_redirect_is_for_this_moment(server: Server, bucket: Bucket) -> None:
    await bucket.put("in/a", b"a")
    client = Client(server.client, server.base)
    job = await client.archived(bucket.url("in/"), destination=bucket.url("a.zip"))
    async with server.client.get(job["result"]["link"], allow_redirects=False) as answer:
        assert answer.status == 307
        assert answer.headers["Cache-Control"] == "no-store"
        signed = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert signed["X-Amz-Expires"] == [str(SIGNED_SECONDS)]
    job = await client.archived(bucket.url("in/"), destination=bucket.url("b.zip"), link_expires_in=60)
    async with server.client.get(job["result"]["link"], allow_redirects=False) as answer:
        signed = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert int(signed["X-Amz-Expires"][0]) <= 60


@pytest.mark.parametrize("versioned", [False, True])
async def test_another_object_of_that_key_is_not_what_it_leads_to(
    stub: LyingS3, stub_server: Server, *, versioned: bool
) -> None:
    """A version stays what it is, and the link leads to it."""
    stub.versioned = versioned
    fill(stub, {"a": 1000})
    job = await Client(stub_server.client, stub_server.base).archived()
    link = job["result"]["link"]
    stub.objects.put(KEY, b"of somebody else")
    if versioned:
        assert crc32(await stub_server.fetch(link)) == int(job["result"]["crc32"], 16)
        stub.objects.delete(KEY)
        assert crc32(await stub_server.fetch(link)) == int(job["result"]["crc32"], 16)
    else:
        status, error = await stub_server.error(link)
        assert (status, error["error"]) == (404, "no_such_object")
        assert f"s3://stub/{KEY}" in error["detail"]
        stub.objects.delete(KEY)
        assert (await stub_server.error(link))[0] == 404


# Nobody runs these: changes are made in the state, as a runner makes them.


@pytest.fixture
def capabilities(state_dir: Path) -> Capabilities:
    return Capabilities(load_instance_key(state_dir))


@pytest.fixture
async def idle(
    stub: LyingS3, state_dir: Path, jobs: Jobs, capabilities: Capabilities, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    async with serving(stub_environment(stub.endpoint_url), state_dir, monkeypatch, run_jobs=False) as running:
        yield running


async def begun(server: Server, capabilities: Capabilities) -> tuple[str, str]:
    """The id of a new job, and the link to what it will make."""
    async with server.client.post(f"{server.base}/archives", json=WANTED) as answer:
        job_id = str((await answer.json())["id"])
    return job_id, f"{server.base}/r/{capabilities.of_result(job_id)}"


async def moved(jobs: Jobs, job_id: str, *states: State, **changes: Any) -> None:
    """The job has gone through all of these states."""
    job = await jobs.get(job_id)
    assert job is not None
    assert await jobs.claim(job, "runner") is not None
    before = State.PLANNING
    for state in states:
        told = changes if state is states[-1] else {}
        assert await jobs.transition(job_id, before, state, **told) is not None
        before = state


@pytest.mark.parametrize("capability", ["AAAAAAAAAAAAAAAAAAAAAA", "%00", "%ff", "x" * 2000])
async def test_one_that_was_never_made_is_none(idle: Server, capability: str) -> None:
    status, error = await idle.error(f"{idle.base}/r/{capability}")
    assert (status, error["error"]) == (404, "no_such_link")


async def test_what_is_not_written_yet_is_to_be_asked_for_again(
    idle: Server, jobs: Jobs, capabilities: Capabilities
) -> None:
    job_id, link = await begun(idle, capabilities)
    for steps in ((), (State.RUNNING, State.FINISHING)):
        if steps:
            await moved(jobs, job_id, *steps)
        async with idle.client.get(link) as answer:
            assert (answer.status, (await answer.json())["error"]) == (503, "still_archiving")
            assert int(answer.headers["Retry-After"]) > 0


async def test_a_job_that_failed_says_so_here_too(idle: Server, jobs: Jobs, capabilities: Capabilities) -> None:
    job_id, link = await begun(idle, capabilities)
    await moved(jobs, job_id, State.FAILED, error_code="no_such_object", error_detail="s3://stub/in/a is gone")
    status, error = await idle.error(link)
    assert (status, error["error"]) == (404, "no_such_object")
    assert error["detail"] == 's3://stub/in/a is gone (or ask with "on_missing": "skip")'


async def test_so_does_one_that_was_cancelled(idle: Server, jobs: Jobs, capabilities: Capabilities) -> None:
    job_id, link = await begun(idle, capabilities)
    await jobs.request_cancel(job_id, "client")
    status, error = await idle.error(link)
    assert (status, error["error"]) == (410, "archive_cancelled")


async def test_an_expired_one_is_refused_and_not_forgotten(
    stub: LyingS3, idle: Server, jobs: Jobs, capabilities: Capabilities
) -> None:
    stub.objects.put(KEY, b"the archive")
    result = json.dumps({"version_id": None})
    job_id, link = await begun(idle, capabilities)
    ended = {"result": result, "result_expires_at": int(time.time())}
    await moved(jobs, job_id, State.RUNNING, State.FINISHING, State.SUCCEEDED, **ended)
    status, error = await idle.error(link)
    assert (status, error["error"]) == (410, "link_expired")
    assert not stub.requests


@pytest.mark.parametrize("skipped", [3, 50])
async def test_what_was_left_out_is_named_by_a_few_where_many_jobs_are_listed(
    idle: Server, jobs: Jobs, capabilities: Capabilities, skipped: int
) -> None:
    objects = [{"url": f"s3://stub/{n}", "code": "object_archived", "reason": "r"} for n in range(skipped)]
    job_id, _ = await begun(idle, capabilities)
    kept = json.dumps({"vanished": [], "count": skipped, "objects": objects})
    await moved(jobs, job_id, State.RUNNING, State.FINISHING, State.SUCCEEDED, result="{}", skipped=kept)
    async with idle.client.get(f"{idle.base}/archives/{job_id}") as answer:
        assert (await answer.json())["result"]["skipped"] == {"count": skipped, "objects": objects}
    async with idle.client.get(f"{idle.base}/archives") as answer:
        (listed,) = (await answer.json())["archives"]
    assert listed["result"]["skipped"] == {"count": skipped, "objects": objects[:10]}
