"""Jobs over HTTP. Nobody runs them here: changes are made in the state, as a runner in another process makes them."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bucketzip.jobs.archives import LOOK_SECONDS
from bucketzip.state.job_states import State
from bucketzip.state.jobs import Jobs
from bucketzip.web.handlers import archives as module
from tests.faults.lying_s3 import LyingS3
from tests.jobs.making import made_job
from tests.web.serving import Server, serving, stub_environment
from tests.web.sse import Event, events

MIB = 1 << 20
WANTED = {"sources": ["s3://stub/in/"], "destination": "s3://stub/out/a.zip"}
BROKEN = 'bucketzip_http_requests_total{method="GET",route="/archives/{id}/events",status="broken"}'
NOBODY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def server(stub: LyingS3, state_dir: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    async with serving(stub_environment(stub.endpoint_url), state_dir, monkeypatch, run_jobs=False) as running:
        yield running


async def call(server: Server, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """The status and the answer."""
    async with server.client.request(method, server.base + path, **more) as answer:
        return answer.status, await answer.json()


async def accepted(server: Server, **fields: Any) -> str:
    """The id of a new job."""
    status, job = await call(server, "POST", "/archives", json={**WANTED, **fields})
    assert status == 202, job
    return str(job["id"])


async def running(server: Server, jobs: Jobs) -> str:
    """The id of a job that runs."""
    job = await jobs.get(await accepted(server))
    assert job is not None
    assert await jobs.claim(job, "runner") is not None
    assert await jobs.transition(job.id, State.PLANNING, State.RUNNING, bytes=100, entries=4) is not None
    return job.id


async def succeed(jobs: Jobs, job_id: str) -> None:
    await jobs.transition(job_id, State.RUNNING, State.FINISHING)
    await jobs.transition(job_id, State.FINISHING, State.SUCCEEDED, result='{"etag": "e"}')


async def test_a_job_is_accepted(server: Server) -> None:
    async with server.client.post(f"{server.base}/archives", json=WANTED) as answer:
        job = await answer.json()
        assert answer.status == 202
        assert answer.headers["Location"] == f"{server.base}/archives/{job['id']}"
    assert re.fullmatch(r"[0-9a-f]{32}", job["id"])
    assert (job["state"], job["destination"]) == ("queued", "s3://stub/out/a.zip")
    assert await call(server, "GET", f"/archives/{job['id']}") == (200, job)


async def test_its_address_is_that_by_which_users_come(
    stub: LyingS3, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, url = stub_environment(stub.endpoint_url), "https://zip.example.com"
    async with (
        serving(environment, state_dir, monkeypatch, run_jobs=False, public_url=url) as server,
        server.client.post(f"{server.base}/archives", json=WANTED) as answer,
    ):
        assert answer.headers["Location"] == f"{url}/archives/{(await answer.json())['id']}"


async def test_asking_again_with_the_same_key_is_the_same_job(server: Server, jobs: Jobs) -> None:
    headers = {"Idempotency-Key": '"a key, as the draft writes it"'}
    status, first = await call(server, "POST", "/archives", json=WANTED, headers=headers)
    assert status == 202
    await jobs.note(first["id"], "something happened")
    async with server.client.post(f"{server.base}/archives", json=WANTED, headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Location"].endswith(f"/archives/{first['id']}")
        assert await answer.json() == {**first, "notes": ["something happened"]}
    status, error = await call(server, "POST", "/archives", json={**WANTED, "root": "r"}, headers=headers)
    assert (status, error["error"]) == (409, "idempotency_conflict")
    status, other = await call(server, "POST", "/archives", json=WANTED)
    assert (status, other["id"] == first["id"]) == (202, False)


@pytest.mark.parametrize("key", ["", "k" * 256, "\u00fc"])
async def test_a_key_that_is_none_is_refused(server: Server, key: str) -> None:
    status, error = await call(server, "POST", "/archives", json=WANTED, headers={"Idempotency-Key": key})
    assert (status, error["error"]) == (400, "invalid_request")
    assert "Idempotency-Key" in error["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "sources: Field required; destination: Field required"),
        ({**WANTED, "filename": "a"}, "filename: unknown field (known: sources, root"),
        ({**WANTED, "destination": "s3://stub/"}, "destination: a destination is one object"),
        ({**WANTED, "priority": 11, "acl": "x"}, "priority: Input should be less than or equal to 10"),
        ({**WANTED, "tags": {"aws:x": "y"}}, "AWS's own"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(server: Server, body: Any, said: str) -> None:
    status, error = await call(server, "POST", "/archives", json=body)
    assert (status, error["error"]) == (400, "invalid_request")
    assert said in error["detail"]


async def test_an_archive_never_goes_over_its_own_source(server: Server) -> None:
    status, error = await call(server, "POST", "/archives", json={**WANTED, "sources": ["s3://stub/out/a.zip"]})
    assert (status, error["error"]) == (400, "destination_in_source")
    assert "s3://stub/out/a.zip" in error["detail"]
    assert (await call(server, "GET", "/archives"))[1]["archives"] == []


async def test_jobs_are_listed_in_pages_and_by_state(server: Server, jobs: Jobs) -> None:
    ids = [await accepted(server, destination=f"s3://stub/{number}") for number in range(5)]
    await jobs.request_cancel(ids[1], "test")
    status, first = await call(server, "GET", "/archives?limit=3")
    assert status == 200
    status, rest = await call(server, "GET", f"/archives?limit=3&after={first['next']}")
    assert [job["id"] for job in first["archives"] + rest["archives"]] == ids[::-1]
    assert rest["next"] is None
    status, cancelled = await call(server, "GET", "/archives?state=cancelled")
    assert [job["id"] for job in cancelled["archives"]] == [ids[1]]
    assert cancelled["archives"][0] == (await call(server, "GET", f"/archives/{ids[1]}"))[1]
    assert (await call(server, "GET", "/archives?state=failed"))[1] == {"archives": [], "next": None}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=done", "state: Input should be 'queued', 'planning'"),
        ("limit=0", "limit: Input should be greater than or equal to 1"),
        ("limit=1001", "limit: Input should be less than or equal to 1000"),
        ("limit=x", "limit: Input should be a valid integer"),
        ("after=x", "after: this is no `next`"),
        ("page=2", "page: unknown parameter (known: after, limit, state)"),
    ],
)
async def test_a_bad_query_is_told_what_is_wrong(server: Server, query: str, said: str) -> None:
    status, error = await call(server, "GET", f"/archives?{query}")
    assert (status, error["error"]) == (400, "invalid_request")
    assert said in error["detail"]


@pytest.mark.parametrize("job_id", [NOBODY, "%00", "%ff", "\U0001f600", "x" * 2000])
async def test_an_unknown_job_is_none(server: Server, job_id: str) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        status, error = await call(server, method, f"/archives/{job_id}{path}")
        assert (status, error["error"]) == (404, "no_such_archive")


async def test_what_others_made_is_not_there(server: Server, jobs: Jobs) -> None:
    theirs = await jobs.add(made_job(owner="another"))
    assert (await call(server, "GET", "/archives"))[1] == {"archives": [], "next": None}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        status, error = await call(server, method, f"/archives/{theirs.id}{path}")
        assert (status, error["error"]) == (404, "no_such_archive")
    assert await jobs.get(theirs.id) == theirs


async def test_a_queued_job_is_cancelled_at_once(server: Server) -> None:
    job_id = await accepted(server)
    status, job = await call(server, "DELETE", f"/archives/{job_id}")
    assert (status, job["state"], job["cancel_reason"]) == (202, "cancelled", "client")
    assert job["finished_at"] is not None
    assert await call(server, "GET", f"/archives/{job_id}") == (200, job)
    status, error = await call(server, "DELETE", f"/archives/{job_id}")
    assert (status, error["error"]) == (409, "archive_finished")
    assert "cancelled" in error["detail"]


async def test_a_running_job_is_asked_to_end(server: Server, jobs: Jobs) -> None:
    job_id = await running(server, jobs)
    for _ in range(2):
        status, job = await call(server, "DELETE", f"/archives/{job_id}")
        assert (status, job["state"], job["cancel_reason"]) == (202, "running", "client")
    await succeed(jobs, job_id)
    status, error = await call(server, "DELETE", f"/archives/{job_id}")
    assert (status, error["error"]) == (409, "archive_finished")


async def test_jobs_survive_a_restart(stub: LyingS3, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, state_dir, monkeypatch, run_jobs=False) as server:
        before = (await call(server, "GET", f"/archives/{await accepted(server)}"))[1]
    async with serving(environment, state_dir, monkeypatch, run_jobs=False) as server:
        assert await call(server, "GET", f"/archives/{before['id']}") == (200, before)


async def test_events_tell_all_from_now_to_the_end(server: Server, jobs: Jobs) -> None:
    job_id = await accepted(server)
    seen: list[Event] = []
    async with server.client.get(f"{server.base}/archives/{job_id}/events") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        async for event in events(answer):
            seen.append(event)
            if event.data["state"] == "queued":
                job = await jobs.get(job_id)
                assert job is not None
                await jobs.claim(job, "runner")
            elif event.data["state"] == "planning":
                await jobs.transition(job_id, State.PLANNING, State.RUNNING, bytes=100, entries=4)
            elif event.kind == "state" and event.data["state"] == "running":
                await jobs.progress(job_id, copied_bytes=50, built_bytes=10, entries=2)
            elif event.kind == "progress":
                await succeed(jobs, job_id)
    assert [(event.kind, event.data["state"]) for event in seen] == [
        ("state", "queued"),
        ("state", "planning"),
        ("state", "running"),
        ("progress", "running"),
        ("state", "succeeded"),
    ]
    assert seen[3].data["progress"] == {
        "bytes": 60,
        "of_bytes": 100,
        "entries": 2,
        "of_entries": 4,
        "copied_bytes": 50,
        "built_bytes": 10,
        "bytes_per_second": None,
        "seconds_left": None,
    }
    assert [event.id for event in seen] == sorted({event.id for event in seen})
    assert seen[-1].data == (await call(server, "GET", f"/archives/{job_id}"))[1]
    assert seen[-1].data["result"]["etag"] == "e"


async def test_events_come_four_times_a_second_at_most(server: Server, jobs: Jobs) -> None:
    job_id = await running(server, jobs)

    async def work() -> None:
        for done in range(100):
            await jobs.progress(job_id, copied_bytes=done, built_bytes=0, entries=0)
            await asyncio.sleep(0.01)
        await succeed(jobs, job_id)

    working = asyncio.create_task(work())
    began = time.monotonic()
    async with server.client.get(f"{server.base}/archives/{job_id}/events") as answer:
        told = [event.data["progress"]["bytes"] async for event in events(answer)]
    await working
    assert 3 <= len(told) <= 2 + (time.monotonic() - began) / LOOK_SECONDS
    assert told == sorted(told)
    assert told[-1] == 99


async def test_who_comes_again_goes_on_where_it_was(server: Server, jobs: Jobs) -> None:
    job_id = await running(server, jobs)
    url = f"{server.base}/archives/{job_id}/events"
    async with server.client.get(url) as answer:
        first = await anext(events(answer))
    async with server.client.get(url, headers={"Last-Event-ID": str(first.id)}) as answer:
        await jobs.note(job_id, "something")
        second = await anext(events(answer))
        assert second.id == first.id + 1
        assert second.data["notes"] == ["something"]
    for odd in ("", "x", "-1", "9" * 100, str(first.id - 1)):
        async with server.client.get(url, headers={"Last-Event-ID": odd}) as answer:
            assert await anext(events(answer)) == second._replace(kind="state")


async def test_who_has_seen_the_end_is_told_not_to_come_again(server: Server, jobs: Jobs) -> None:
    """204 is what keeps an EventSource from connecting for ever."""
    job_id = await running(server, jobs)
    await succeed(jobs, job_id)
    url = f"{server.base}/archives/{job_id}/events"
    async with server.client.get(url) as answer:
        (last,) = [event async for event in events(answer)]
    assert (last.kind, last.data["state"]) == ("state", "succeeded")
    async with server.client.get(url, headers={"Last-Event-ID": str(last.id)}) as answer:
        assert answer.status == 204


async def test_silence_is_broken_by_comments(server: Server, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.3)
    job_id = await running(server, jobs)
    seen = []
    async with server.client.get(f"{server.base}/archives/{job_id}/events") as answer:
        async for event in events(answer):
            seen.append("" if event.comment else event.kind)
            if len(seen) == 3:
                await succeed(jobs, job_id)
    assert seen[:3] == ["state", "", ""]
    assert seen[-1] == "state"


@asynccontextmanager
async def slow_reader(server: Server, job_id: str) -> AsyncIterator[asyncio.StreamReader]:
    """What is left to read by a client that asked for events, and takes only what it is told to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base.rpartition(":")[2]))
    try:
        writer.write(f"GET /archives/{job_id}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        yield reader
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_client_that_takes_nothing_is_let_go_and_keeps_nobody_waiting(
    stub: LyingS3, state_dir: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, state_dir, monkeypatch, run_jobs=False, client_stall_seconds=1) as server:
        job_id = await running(server, jobs)
        async with slow_reader(server, job_id), asyncio.timeout(120):
            await jobs.note(job_id, "x" * 16 * MIB)  # more than the kernel takes for a client
            while not await server.metric(BROKEN):  # which is an answer to others, too
                await asyncio.sleep(0.05)


async def test_a_slow_client_misses_steps_but_not_the_last(server: Server, jobs: Jobs) -> None:
    job_id = await running(server, jobs)
    await jobs.note(job_id, "x" * 8 * MIB)
    text = b""
    async with slow_reader(server, job_id) as reader, asyncio.timeout(120):
        for done in range(3):
            await asyncio.sleep(LOOK_SECONDS)
            await jobs.progress(job_id, copied_bytes=done, built_bytes=0, entries=0)
        await succeed(jobs, job_id)
        while not text.endswith(b"\r\n0\r\n\r\n"):
            read = await reader.read(1 << 20)
            assert read, "it broke off"
            text += read
    states = re.findall(rb'"state": "(\w+)"', text)
    assert states[-1] == b"succeeded"
    assert len(states) < 5


async def test_a_client_that_leaves_is_not_sent_to_any_more(server: Server, jobs: Jobs) -> None:
    job_id = await running(server, jobs)
    before = len(asyncio.all_tasks())
    async with aiohttp.ClientSession() as client, client.get(f"{server.base}/archives/{job_id}/events") as answer:
        await anext(events(answer))
        assert len(asyncio.all_tasks()) > before
    async with asyncio.timeout(120):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.01)


async def test_a_server_that_ends_ends_the_streams_as_streams_end(
    stub: LyingS3, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by cutting them off, and without waiting until draining is over."""
    async with aiohttp.ClientSession() as client:
        async with serving(stub_environment(stub.endpoint_url), state_dir, monkeypatch, run_jobs=False) as server:
            answer = await client.get(f"{server.base}/archives/{await accepted(server)}/events")
            stream = events(answer)
            assert (await anext(stream)).kind == "state"
        assert [event async for event in stream] == []
        answer.release()


async def test_events_are_for_get_alone(server: Server) -> None:
    async with server.client.head(f"{server.base}/archives/{await accepted(server)}/events") as answer:
        assert answer.status == 405


async def test_the_metrics_tell_how_many_wait_and_how_they_ended(server: Server, jobs: Jobs) -> None:
    waiting = 'bucketzip_archives_unfinished{state="queued"}'
    assert await server.metric("bucketzip_archives_unfinished") == 0
    ids = [await accepted(server) for _ in range(3)]
    await running(server, jobs)
    async with server.client.get(f"{server.base}/metrics") as answer:
        text = await answer.text()
    assert f"{waiting} 3.0" in text
    assert 'bucketzip_archives_unfinished{state="running"} 1.0' in text
    assert 'bucketzip_archives_unfinished{state="finishing"} 0.0' in text
    await call(server, "DELETE", f"/archives/{ids[0]}")
    async with server.client.get(f"{server.base}/metrics") as answer:
        text = await answer.text()
    assert f"{waiting} 2.0" in text
    assert 'bucketzip_archives_total{outcome="cancelled"} 1.0' in text
