"""Links as their owners see them: listed, looked at, made once, and revoked while somebody downloads."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bucketzip.plan import revocations
from bucketzip.state.capabilities import hash_capability, new_id
from bucketzip.state.database import Database, open_database
from bucketzip.state.links import Link, Links
from bucketzip.state.processes import join_processes
from bucketzip.state.running import RunningDownloads
from bucketzip.web import keys
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, lists
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20
WANTED = {"sources": ["s3://stub/"]}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """The server's, as another process has it open."""
    (tmp_path / "state").mkdir(exist_ok=True)
    async with open_database(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def links(database: Database) -> Links:
    return Links(database)


@pytest.fixture
async def server(stub: LyingS3, links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    stub.objects.put("a", b"1")
    async with serving(stub_environment(stub.endpoint_url), tmp_path / "state", monkeypatch, scratch="off") as running:
        yield running


async def call(server: Server, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
    async with server.client.request(method, server.base + path, **more) as answer:
        return answer.status, await answer.json()


async def test_a_link_is_shown_as_it_was_made(server: Server) -> None:
    status, made = await server.ask("s3://stub/", filename="\u00fc.zip")
    assert (status, made["state"], made["error"], made["revoked_at"]) == (201, "ready", None, None)
    assert await call(server, "GET", f"/downloads/{made['id']}") == (200, made)
    assert len(await server.fetch(made["url"])) == made["bytes"]
    async with server.client.head(made["url"]) as head:
        assert head.headers["ETag"] == made["etag"]


async def test_its_id_downloads_nothing(server: Server) -> None:
    _, made = await server.ask("s3://stub/")
    status, error = await server.error(f"{server.base}/d/{made['id']}/archive.zip")
    assert (status, error["error"]) == (404, "no_such_link")


async def test_links_are_listed_in_pages_and_by_state(server: Server, links: Links) -> None:
    made = [(await server.ask("s3://stub/", root=f"{number}"))[1] for number in range(5)]
    _, failed = await server.ask("s3://stub/nothing/")
    assert failed["error"] == "nothing_to_zip"
    await links.revoke(made[1]["id"], int(time.time()))
    status, first = await call(server, "GET", "/downloads?limit=4")
    assert status == 200
    status, rest = await call(server, "GET", f"/downloads?limit=4&after={first['next']}")
    (broken, *others) = first["downloads"] + rest["downloads"]
    assert (broken["state"], broken["error"]["code"], broken["url"]) == ("failed", "nothing_to_zip", None)
    assert [link["id"] for link in others] == [link["id"] for link in reversed(made)]
    assert rest["next"] is None
    for state, ids in (("revoked", [1]), ("ready", [4, 3, 2, 0]), ("expired", [])):
        _, listed = await call(server, "GET", f"/downloads?state={state}")
        assert [link["id"] for link in listed["downloads"]] == [made[number]["id"] for number in ids]


async def test_one_that_expired_says_so_and_hides_its_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    _, made = await server.ask("s3://stub/", expires_in=60)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    _, listed = await call(server, "GET", "/downloads?state=expired")
    assert [(link["id"], link["state"], link["url"]) for link in listed["downloads"]] == [(made["id"], "expired", None)]


async def test_what_others_made_is_not_there(server: Server, links: Links) -> None:
    link_id, now = new_id(), int(time.time())
    theirs = Link(link_id, hash_capability(link_id), "another", "f.zip", "{}", now, now + 100, "ready")
    await links.add(theirs)
    assert (await call(server, "GET", "/downloads"))[1] == {"downloads": [], "next": None}
    for method in ("GET", "DELETE"):
        status, error = await call(server, method, f"/downloads/{link_id}")
        assert (status, error["error"]) == (404, "no_such_link")
    assert await links.find(link_id) == theirs


@pytest.mark.parametrize("query", ["state=queued", "limit=0", "after=x", "after=%00", "after=0", "page=2"])
async def test_a_bad_query_is_told_what_is_wrong(server: Server, query: str) -> None:
    status, error = await call(server, "GET", f"/downloads?{query}")
    assert (status, error["error"]) == (400, "invalid_request")
    assert query.partition("=")[0] in error["detail"]


async def test_the_same_key_and_request_are_the_same_link(server: Server) -> None:
    headers = {"Idempotency-Key": "k"}
    status, made = await call(server, "POST", "/downloads", json=WANTED, headers=headers)
    assert status == 201
    async with server.client.post(f"{server.base}/downloads", json=WANTED, headers=headers) as again:
        assert (again.status, again.headers["Location"]) == (200, made["url"])
        assert await again.json() == made
    status, error = await call(server, "POST", "/downloads", json={**WANTED, "root": "r"}, headers=headers)
    assert (status, error["error"]) == (409, "idempotency_conflict")
    assert len((await call(server, "GET", "/downloads"))[1]["downloads"]) == 1


async def test_a_key_is_free_again_when_its_link_has_ended(server: Server) -> None:
    """Who asks again after an error must be able to get another answer."""
    headers = {"Idempotency-Key": "k"}
    gone = {"sources": ["s3://stub/nothing/"]}
    for _ in range(2):
        assert (await call(server, "POST", "/downloads", json=gone, headers=headers))[0] == 404
    status, made = await call(server, "POST", "/downloads", json=WANTED, headers=headers)
    assert status == 201
    await call(server, "DELETE", f"/downloads/{made['id']}")
    status, other = await call(server, "POST", "/downloads", json=WANTED, headers=headers)
    assert (status, other["id"] == made["id"]) == (201, False)


async def test_a_revoked_link_is_gone_for_good(server: Server) -> None:
    _, made = await server.ask("s3://stub/")
    for _ in range(2):
        status, revoked = await call(server, "DELETE", f"/downloads/{made['id']}")
        assert (status, revoked["state"], revoked["url"], revoked["resumable"]) == (200, "revoked", None, False)
    for url in (made["url"], made["url"].rpartition("/")[0] + "/manifest.json"):
        status, error = await server.error(url)
        assert (status, error["error"]) == (410, "link_revoked")


@pytest.mark.parametrize("elsewhere", [False, True], ids=["by this process", "by another one"])
async def test_running_downloads_of_it_are_broken_off(
    *, elsewhere: bool, stub: LyingS3, links: Links, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "LOOK_SECONDS", 0.1)
    stub.objects.put("large", Synthetic(64 * MIB, 1))
    _, made = await server.ask("s3://stub/")
    _, kept = await server.ask("s3://stub/", root="another")
    async with server.client.get(made["url"]) as broken, server.client.get(kept["url"]) as whole:
        assert broken.status == 200
        if elsewhere:
            await links.revoke(made["id"], int(time.time()))
        else:
            await call(server, "DELETE", f"/downloads/{made['id']}")
        await ended(server, made["id"])
        with pytest.raises(aiohttp.ClientPayloadError):
            await broken.read()
        assert len(await whole.read()) == kept["bytes"]
    await server.idle()
    async with server.client.get(f"{server.base}/metrics") as metrics:
        assert 'bucketzip_downloads_total{outcome="link_revoked"} 1.0' in await metrics.text()


async def test_running_downloads_of_it_are_counted_in_all_processes(
    stub: LyingS3, database: Database, server: Server, tmp_path: Path
) -> None:
    """Another process that shares the state is played here, by what a process has of it."""
    stub.objects.put("large", Synthetic(64 * MIB, 1))
    _, made = await server.ask("s3://stub/")
    assert made["downloads_active"] == 0

    async def active() -> int:
        listed = (await call(server, "GET", "/downloads"))[1]["downloads"]
        assert listed == [(await call(server, "GET", f"/downloads/{made['id']}"))[1]]
        count = int(listed[0]["downloads_active"])
        assert (await call(server, "GET", "/system"))[1]["downloads"] == {"active": count}
        return count

    async with join_processes(tmp_path / "state") as processes:
        other = RunningDownloads(database, processes)
        async with server.client.get(made["url"]) as one, server.client.get(made["url"]) as two:
            assert await active() == 2
            async with asyncio.timeout(120):
                while await other.of_others() != {made["id"]: 2}:
                    await asyncio.sleep(0.01)
            await other.tell({made["id"]: 3})
            assert await active() == 5
            for running in (one, two):
                await running.read()
        await server.idle()
        assert await active() == 3
    assert await active() == 0, "a process that is gone downloads nothing"


async def ended(server: Server, link_id: str) -> None:
    async with asyncio.timeout(120):
        while link_id in server.app[keys.DOWNLOADS].revocations._scopes:
            await asyncio.sleep(0.01)


async def test_a_link_that_is_being_planned_can_be_revoked(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.on(lists(), lies.slow_first_byte(30.0))
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path / "state", monkeypatch, planning_wait_seconds=0) as server:
        status, made = await server.ask("s3://stub/")
        assert (status, made["state"], made["bytes"], made["resumable"]) == (202, "planning", None, False)
        assert await call(server, "GET", f"/downloads/{made['id']}") == (200, made)
        await call(server, "DELETE", f"/downloads/{made['id']}")
        await ended(server, made["id"])
        status, error = await server.error(made["url"])
        assert (status, error["error"]) == (410, "link_revoked")
        assert await server.metric("bucketzip_plans_active") == 0
