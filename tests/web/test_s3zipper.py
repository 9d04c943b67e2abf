"""S3Zipper's calls as they are answered: ids, states, results and errors."""

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from bucketzip.state.database import FILE_NAME
from bucketzip.state.job_states import State
from bucketzip.state.jobs import Jobs
from bucketzip.web import keys
from bucketzip.web.handlers import s3zipper
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.lying_s3 import LyingS3, lists
from tests.web.serving import Server, serving, stub_environment
from tests.web.zipping import call, ended, names_in, started, state_of

NOBODY = "01234567-89ab-cdef-0123-456789abcdef"
BROKEN = 'bucketzip_http_requests_total{method="POST",route="/v2/zipresult",status="broken"}'


async def written(bucket: Bucket, key: str) -> list[str]:
    """The names in an archive in the bucket."""
    answer = await bucket.client.get_object(Bucket=bucket.name, Key=key)
    async with answer["Body"] as body:
        return names_in(await body.read())


@pytest.fixture
async def filled(bucket: Bucket) -> Bucket:
    await bucket.put_many({"docs/a.txt": b"a" * 3000, "docs/deep/b c.txt": b"b" * 6120, "other.txt": b"other"})
    return bucket


async def test_an_archive_is_written_and_its_end_is_told(server: Server, filled: Bucket) -> None:
    answer = await started(
        server, "/v1/zipstart", awsBucket=filled.name, filePaths=[f"{filled.name}/docs"], zipTo="out/name.zip"
    )
    (task,) = answer["chainTaskUUID"]
    assert list(answer) == ["message", "size", "chainTaskUUID"]
    assert answer["size"] == "9.1 kB"
    assert list(task) == ["streams3"]
    state = await ended(server, answer)
    assert (state["TaskUUID"], state["TaskName"], state["State"]) == (task["streams3"], "streams3", "SUCCESS")
    assert await call(server, "/v1/zipresult", answer) == (200, {"results": [state["Results"][0]["Value"]]})
    assert state["Results"][0]["Type"] == "string"
    assert state["Results"][0]["Value"].startswith(f"{server.base}/r/")
    assert await written(filled, "out/name.zip") == ["docs/a.txt", "docs/deep/b c.txt"]


async def test_version_2_has_other_names_for_ids(server: Server, filled: Bucket) -> None:
    answer = await started(server, "/v2/zipstart", awsBucket=filled.name, filePaths=["docs", "other.txt"])
    assert list(answer) == ["message", "size", "taskUUID", "zipID"]
    (task,) = answer["taskUUID"]
    assert task == {"streams3v2": f"zipper_s3_{UUID(answer['zipID'])}"}
    for sent in (
        {"chainTaskUUID": [{"streams3": task["streams3v2"]}, {"email": ""}]},
        {"taskUUID": [{"idurl": task["streams3v2"]}], "message": "made up", "size": ""},
        {"zipID": answer["zipID"]},
        answer,
    ):
        assert (await ended(server, sent, "v2"))["TaskUUID"] == task["streams3v2"]
        status, outcome = await call(server, "/v2/zipresult", sent)
        assert (status, len(outcome["results"])) == (200, 1)
    status, state = await call(server, "/v2/status", {"zipID": answer["zipID"]})
    assert (status, state["State"]) == (200, "SUCCESS")
    assert await written(filled, "archive.zip") == ["docs/a.txt", "docs/deep/b c.txt", "other.txt"]


async def test_a_download_has_its_link_by_the_result(server: Server, filled: Bucket) -> None:
    answer = await started(
        server,
        "/v1/streamzip",
        awsBucket=filled.name,
        filePaths=[filled.name],
        zipFileName="all of it.zip",
        bucketAsDir="true",
    )
    assert (answer["size"], list(answer["chainTaskUUID"][0])) == ("9.1 kB", ["idurl"])
    status, outcome = await call(server, "/v1/zipresult", answer)
    assert status == 200
    (url,) = outcome["results"]
    names = ["docs/a.txt", "docs/deep/b c.txt", "other.txt"]
    assert names_in(await server.fetch(url)) == [f"{filled.name}/{name}" for name in names]
    async with server.client.head(url) as head:
        assert 'filename="all of it.zip"' in head.headers["Content-Disposition"]
    state = await ended(server, answer)
    assert (state["TaskName"], state["Results"][0]["Value"]) == ("idurl", url)
    answer = await started(server, "/v2/streamzip", awsBucket=filled.name, filePaths="docs")
    assert answer["taskUUID"] == [{"idurl": f"task_{UUID(answer['zipID'])}"}]


async def test_answers_are_written_as_s3zipper_writes_them(server: Server, filled: Bucket) -> None:
    body = urlencode([("filePaths", "docs"), ("filePaths", "other.txt"), ("awsBucket", filled.name)])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with server.client.post(f"{server.base}/v1/streamzip", data=body, headers=headers) as answer:
        assert answer.content_type == "application/json"
        text = await answer.text()
    assert text.startswith(
        '{\n "message": "STARTED",\n "size": "9.1 kB",\n "chainTaskUUID": [\n  {\n   "idurl": "task_'
    )


async def test_an_archive_is_written_over_but_only_by_a_name_that_was_given(server: Server, filled: Bucket) -> None:
    for _ in range(2):
        answer = await started(
            server, "/v2/s3zip", awsBucket=filled.name, filePaths=["docs"], zipTo=f"{filled.name}/o", zipFileName="x"
        )
        assert (await ended(server, answer))["State"] == "SUCCESS"
        assert (await ended(server, await started(server, "/v1/zipstart", filePaths=f"{filled.name}/docs")))[
            "Error"
        ] == ""
    listed = await filled.client.list_objects_v2(Bucket=filled.name)
    keys_ = {each["Key"] for each in listed["Contents"]}
    assert keys_ - {"docs/a.txt", "docs/deep/b c.txt", "other.txt"} == {"o/x.zip", "archive.zip", "archive (2).zip"}


async def test_folders_are_renamed_as_a_document_in_the_bucket_says(server: Server, filled: Bucket) -> None:
    paths = [{"key": f"{filled.name}/docs/", "name": ""}, {"key": f"{filled.name}/docs/deep/", "name": "/flat"}]
    await filled.put("maps/map.json", json.dumps({"paths": paths}).encode())
    fields = {"awsBucket": filled.name, "filePaths": ["docs"], "fileMapper": f"{filled.name}/maps/map.json"}
    answer = await started(server, "/v2/zipstart", zipTo="mapped.zip", **fields)
    await filled.delete("maps/map.json")  # it is not needed any more
    assert (await ended(server, answer))["State"] == "SUCCESS"
    assert await written(filled, "mapped.zip") == ["a.txt", "flat/b c.txt"]
    status, error = await call(server, "/v2/zipstart", fields)
    assert (status, error["error"]) == (404, "no_such_object")
    await filled.put("maps/map.json", b" " * ((1 << 20) + 1))
    status, error = await call(server, "/v2/zipstart", fields)
    assert (status, error["error"]) == (400, "over_limit")
    await filled.put("maps/map.json", b"")
    status, error = await call(server, "/v2/zipstart", fields)
    assert (status, error["error"]) == (400, "invalid_request")
    assert "fileMapper" in error["detail"]


async def test_what_fails_is_told_by_its_state_and_by_its_result(server: Server, filled: Bucket) -> None:
    for start in ("zipstart", "streamzip"):
        answer = await started(server, f"/v1/{start}", awsBucket=filled.name, filePaths=["not/there"])
        assert answer["size"] == "unknown"
        state = await ended(server, answer)
        assert (state["State"], state["Results"]) == ("FAILURE", None)
        assert state["Error"].startswith("no_such_object: ")
        assert "not/there" in state["Error"]
        status, error = await call(server, "/v1/zipresult", answer)
        assert (status, error["error"]) == (404, "no_such_object")
        answer = await started(
            server, f"/v1/{start}", awsBucket=filled.name, filePaths=["docs"], maxFileCount="1", maxFileSize="10MB"
        )
        error = (await ended(server, answer))["Error"]
        assert error == "over_limit: maxFileCount is 1, and there are 2 objects at least"


@pytest.mark.parametrize("keys_", [{}, {"awsKey": "ASIA", "awsSecret": "s", "awsToken": "t"}])
async def test_keys_that_expired_are_told_in_the_word_that_clients_look_for(
    stub: LyingS3, stub_server: Server, keys_: dict[str, str]
) -> None:
    """Whosever they are; those of clients most of all."""
    stub.on(lists(), lies.expired_token())
    answer = await started(stub_server, "/v2/streamzip", filePaths=["stub"], **keys_)
    assert (await ended(stub_server, answer))["Error"].startswith("ExpiredToken: ")


async def test_a_start_waits_for_a_size_only_so_long(
    stub: LyingS3, stub_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3zipper, "SIZE_WAIT_SECONDS", 0.05)
    stub.objects.put("a", b"1")
    stub.on(lists(), lies.slow_first_byte(0.5))
    answer = await started(stub_server, "/v1/streamzip", filePaths=["stub"])
    assert answer["size"] == "unknown"
    status, outcome = await call(stub_server, "/v1/zipresult", answer)
    assert status == 200
    assert names_in(await stub_server.fetch(outcome["results"][0])) == ["a"]


@pytest.mark.parametrize(
    ("path", "pass_by"),
    [
        ("/v1/zipstart", "UPDATE jobs SET result_expires_at = result_expires_at - ?"),
        ("/v1/streamzip", "UPDATE links SET expires_at = expires_at - ?"),
    ],
)
async def test_a_link_lives_for_the_hours_that_were_asked_for(
    stub: LyingS3, stub_server: Server, tmp_path: Path, path: str, pass_by: str
) -> None:
    stub.objects.put("in/a", b"1")
    chain = await started(stub_server, path, filePaths=["stub/in"], zipTo="stub/a.zip", expireLink="1.5")
    link = (await ended(stub_server, chain))["Results"][0]["Value"]
    with closing(sqlite3.connect(tmp_path / "state" / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(pass_by, (5400 - 120,))
        assert names_in(await stub_server.fetch(link)) == ["in/a"]
        connection.execute(pass_by, (120,))
    status, error = await stub_server.error(link)
    assert (status, error["error"]) == (410, "link_expired")
    assert (await ended(stub_server, chain))["Results"][0]["Value"] == link


@pytest.fixture
async def idle(stub: LyingS3, state_dir: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """Nobody runs jobs here: changes are made in the state, as a runner in another process makes them."""
    monkeypatch.setattr(s3zipper, "SIZE_WAIT_SECONDS", 0.01)
    async with serving(stub_environment(stub.endpoint_url), state_dir, monkeypatch, run_jobs=False) as running:
        yield running


async def waiting_job(server: Server) -> tuple[str, dict[str, Any]]:
    """The id of a job, and what was answered."""
    answer = await started(server, "/v2/zipstart", filePaths=["stub/a"])
    assert answer["size"] == "unknown"
    return UUID(answer["zipID"]).hex, answer


async def test_every_state_of_a_job_is_one_that_clients_know(idle: Server, jobs: Jobs) -> None:
    job_id, chain = await waiting_job(idle)
    states = [(await state_of(idle, chain))["State"]]
    job = await jobs.get(job_id)
    assert job is not None
    await jobs.claim(job, "runner")
    states.append((await state_of(idle, chain))["State"])
    for before, after in pairwise((State.PLANNING, State.RUNNING, State.FINISHING, State.SUCCEEDED)):
        await jobs.transition(job_id, before, after)
        states.append((await state_of(idle, chain))["State"])
    assert states == ["PENDING", "RECEIVED", "STARTED", "STARTED", "SUCCESS"]
    job_id, chain = await waiting_job(idle)
    await idle.app[keys.ARCHIVE_JOBS].cancel(job_id, "client")
    assert (await state_of(idle, chain))["State"] == "FAILURE"
    status, error = await call(idle, "/v2/zipresult", chain)
    assert (status, error["error"]) == (410, "archive_cancelled")


async def test_a_result_is_waited_for(idle: Server, jobs: Jobs) -> None:
    job_id, chain = await waiting_job(idle)
    waiting = asyncio.create_task(call(idle, "/v2/zipresult", chain))
    job = await jobs.get(job_id)
    assert job is not None
    await jobs.claim(job, "runner")
    for before, after in pairwise((State.PLANNING, State.RUNNING, State.FINISHING)):
        await jobs.transition(job_id, before, after)
    assert not waiting.done()
    await jobs.transition(job_id, State.FINISHING, State.SUCCEEDED)
    status, outcome = await waiting
    assert (status, outcome["results"][0][: len(idle.base) + 3]) == (200, f"{idle.base}/r/")


async def test_a_client_that_leaves_is_not_waited_for(idle: Server) -> None:
    _, chain = await waiting_job(idle)
    body = json.dumps(chain).encode()
    head = f"POST /v2/zipresult HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(idle.base.rpartition(":")[2]))
    writer.write(head.encode())
    await reader.readuntil(b"\r\n\r\n")  # now it is being answered
    writer.write(body)
    await writer.drain()
    writer.close()
    async with asyncio.timeout(120):
        while not await idle.metric(BROKEN):
            await asyncio.sleep(0.01)


async def test_a_server_that_ends_says_when_to_come_again(
    stub: LyingS3, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3zipper, "SIZE_WAIT_SECONDS", 0.01)
    async with serving(stub_environment(stub.endpoint_url), state_dir, monkeypatch, run_jobs=False) as server:
        _, chain = await waiting_job(server)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(call(server, "/v2/zipresult", chain))
            server.app[keys.ARCHIVE_JOBS].close()
        status, error = waiting.result()
        assert (status, error["error"]) == (503, "still_running")


async def revoke(server: Server, chain: dict[str, Any]) -> None:
    """End the download behind a chain, as its owner may."""
    task = chain["chainTaskUUID"][0]["idurl"]
    async with server.client.delete(f"{server.base}/downloads/{UUID(task.removeprefix('task_')).hex}") as answer:
        assert answer.status == 200


async def test_a_download_that_was_revoked_has_failed(idle: Server, stub: LyingS3) -> None:
    stub.objects.put("a", b"1")
    chain = await started(idle, "/v1/streamzip", filePaths=["stub/a"])
    assert (await ended(idle, chain))["State"] == "SUCCESS"
    await revoke(idle, chain)
    state = await state_of(idle, chain)
    assert (state["State"], state["Results"], state["Error"][:12]) == ("FAILURE", None, "link_revoked")
    status, error = await call(idle, "/v1/zipresult", chain)
    assert (status, error["error"]) == (410, "link_revoked")


async def test_who_waits_for_a_download_hears_that_it_was_revoked(idle: Server, stub: LyingS3) -> None:
    stub.on(lists(), lies.slow_first_byte(600))
    chain = await started(idle, "/v1/streamzip", filePaths=["stub/a"])
    waiting = asyncio.create_task(call(idle, "/v1/zipresult", chain))
    assert (await state_of(idle, chain))["State"] == "STARTED"
    await revoke(idle, chain)
    status, error = await waiting
    assert (status, error["error"]) == (410, "link_revoked")


ROUTES = [
    "/gentoken", "/tokenv2", "/v1/zipstart", "/v2/zipstart", "/v2/s3zip", "/v1/streamzip", "/v2/streamzip",
    "/v1/zipstate", "/v2/zipstate", "/v2/status", "/v1/zipresult", "/v2/zipresult",
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"{}", {"Content-Type": "application/json"}),
        (b"{", {"Content-Type": "application/json"}),
        (b"[" * 60_000, {}),
        (b"\0\xff", {"Content-Type": "multipart/form-data; boundary=x"}),
        (b"a=b", {"Content-Encoding": "gzip", "Connection": "close"}),
        (b'{"zipID": 7, "filePaths": {}, "userKey": []}', {}),
        (b'{"filePaths": "\\ud800", "userKey": "\\ud800", "userSecret": "\\ud800"}', {}),
        (b"filePaths=%00&zipTo=%00", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
async def test_nothing_that_is_sent_is_our_mistake(idle: Server, body: bytes, headers: dict[str, str]) -> None:
    for path in ROUTES:
        status, error = await call(idle, path, data=body, headers=headers)
        assert 400 <= status < 500, (path, error)
        assert set(error) == {"error", "detail", "request_id"}


async def test_no_body_is_too_large(idle: Server) -> None:
    million = b"&".join([b"filePaths=b%2Fk"] * 1_000_000)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path, body, headers in (
        ("/v1/zipstart", million, form),
        ("/gentoken", b" " * (65 << 10), {}),
    ):
        status, error = await call(idle, path, data=io.BytesIO(body), headers=headers)
        assert (status, error["error"]) == (413, "request_too_large"), path
    almost = urlencode([("filePaths", "")] * 90_000).encode()
    status, error = await call(idle, "/v1/zipstart", data=almost, headers=form)
    assert (status, error["error"]) == (400, "invalid_request")


async def test_ids_that_nobody_knows(idle: Server) -> None:
    for path in ("/v1/zipstate", "/v2/status", "/v2/zipresult"):
        for sent in ({"zipID": NOBODY}, {"taskUUID": [{"streams3v2": f"zipper_s3_{NOBODY}"}]}, {"zipID": ""}, {}):
            status, error = await call(idle, path, sent)
            assert (status, error["error"]) == (404, "no_such_task")


async def test_tokens_are_for_who_has_a_key_and_its_secret(idle: Server) -> None:
    for path in ("/gentoken", "/tokenv2"):
        status, error = await call(idle, path, {"userKey": "k"})
        assert (status, error["error"]) == (400, "invalid_request")
        assert "userSecret" in error["detail"]
