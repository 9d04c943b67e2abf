"""What is too much is refused, with when to come back; and what fits goes on."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, lists
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20


async def refused(server: Server, method: str, path: str, **more: Any) -> tuple[int, str, str | None]:
    """Status, code and Retry-After."""
    async with server.client.request(method, server.base + path, **more) as answer:
        return answer.status, (await answer.json())["error"], answer.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("downloads_per_user", (429, "too_many_downloads", "10")), ("downloads_at_once", (503, "too_busy", "5"))],
)
async def test_one_download_too_many(
    setting: str, expected: tuple[int, str, str], stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.objects.put("large", Synthetic(64 * MIB, 1))
    environment = stub_environment(stub.endpoint_url)
    async with serving(
        environment, tmp_path / "state", monkeypatch, scratch="off", **dict[str, Any]({setting: 1})
    ) as server:
        path = (await server.link("s3://stub/")).removeprefix(server.base)
        async with server.client.get(server.base + path) as first:
            assert first.status == 200
            assert await refused(server, "GET", path) == expected
            async with server.client.head(server.base + path) as head:
                assert head.status == 200, "it reads nothing"
            await first.read()
        await server.idle()
        await server.fetch(server.base + path)


async def test_one_plan_too_many(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.objects.put("a", b"1")
    stub.on(lists(), lies.slow_first_byte(30.0))
    environment = stub_environment(stub.endpoint_url)
    limits: dict[str, Any] = {"plannings_at_once": 1, "planning_wait_seconds": 0}
    async with serving(environment, tmp_path / "state", monkeypatch, **limits) as server:
        _, first = await server.ask("s3://stub/")
        assert await server.metric("bucketzip_plans_active") == 1
        wanted = {"sources": ["s3://stub/"]}
        assert await refused(server, "POST", "/downloads", json=wanted) == (503, "too_many_plans", "5")
        async with server.client.delete(f"{server.base}/downloads/{first['id']}") as answer:
            assert answer.status == 200


async def test_one_job_too_many(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = stub_environment(stub.endpoint_url)
    wanted = {"sources": ["s3://stub/in/"], "destination": "s3://stub/out.zip"}
    key = {"Idempotency-Key": "k"}
    async with serving(environment, tmp_path / "state", monkeypatch, run_jobs=False, queued_per_user=1) as server:
        async with server.client.post(f"{server.base}/archives", json=wanted, headers=key) as answer:
            first = await answer.json()
        assert await refused(server, "POST", "/archives", json=wanted) == (429, "too_many_queued", "60")
        async with server.client.post(f"{server.base}/archives", json=wanted, headers=key) as answer:
            assert (answer.status, (await answer.json())["id"]) == (200, first["id"]), "that one is there already"
        async with server.client.delete(f"{server.base}/archives/{first['id']}") as answer:
            assert answer.status == 202
        async with server.client.post(f"{server.base}/archives", json=wanted) as answer:
            assert answer.status == 202


async def test_more_entries_than_may_be(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        stub.objects.put(f"{number}", b"1")
    environment = stub_environment(stub.endpoint_url)
    for most, status in ((2, 400), (3, 201)):
        async with serving(environment, tmp_path / f"{most}", monkeypatch, most_entries=most) as server:
            assert (await server.ask("s3://stub/"))[0] == status
            if status == 400:
                _, error = await server.ask("s3://stub/")
                assert error["error"] == "too_many_entries"
                assert "more than 2 objects" in error["detail"]
