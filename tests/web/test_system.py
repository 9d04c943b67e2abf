"""What people are told of the server itself, and what they are not."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.s3 import credentials
from bucketzip.state.probes import Probe, Verdict
from bucketzip.state.users import Role
from bucketzip.web import keys
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3
from tests.faults.sts import STS
from tests.identities import Keys
from tests.web.asking import user_of
from tests.web.serving import Server, serving, stub_environment

DAY = 86_400.0


async def system(server: Server) -> dict[str, Any]:
    async with server.client.get(f"{server.base}/system") as answer:
        assert answer.status == 200, await answer.text()
        told: dict[str, Any] = await answer.json()
        return told


@asynccontextmanager
async def set_up(
    environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AsyncIterator[Server]:
    async with serving(environment, tmp_path / "state", monkeypatch, scratch="off", run_jobs=False, **settings) as it:
        yield it


async def test_how_it_is_set_up(
    s3_server: EmbeddedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment = s3_server.environment()
    async with set_up(environment, tmp_path, monkeypatch, processes=2, memory_bytes=1 << 26) as server:
        async with server.client.get(f"{server.base}/healthz") as answer:
            version = (await answer.json())["version"]
        async with server.client.get(f"{server.base}/system") as answer:
            text = await answer.text()
        told = await system(server)
    assert (told["version"], told["processes"], told["uptime_seconds"] < 60) == (version, 2, True)
    assert (told["region"], told["endpoint"]) == (environment["AWS_REGION"], s3_server.endpoint_url)
    assert told["credentials"] == {"source": "env", "principal": None, "expires_at": None, "error": None}
    assert told["budget"] == {"bytes": 1 << 25, "used_bytes": 0}
    assert told["downloads"] == {"active": 0}
    assert told["state"]["bytes_free"] > 0
    for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert environment[secret] not in text + caplog.text


async def test_jobs_are_those_of_the_machine(stub_server: Server, stub: LyingS3) -> None:
    stub.objects.put("a", b"1")
    assert set((await system(stub_server))["jobs"].values()) == {0}
    body = {"sources": ["s3://stub/nothing-there/"], "destination": "s3://stub/a.zip"}
    async with stub_server.client.post(f"{stub_server.base}/archives", json=body) as answer:
        assert answer.status == 202
    async with asyncio.timeout(120):
        while not (jobs := (await system(stub_server))["jobs"])["failed"]:
            await asyncio.sleep(0.02)
    assert list(jobs) == ["queued", "planning", "running", "finishing", "succeeded", "failed", "cancelled"]
    assert sum(jobs.values()) == 1


async def test_downloads_that_go_on_are_counted(stub_server: Server, stub: LyingS3) -> None:
    stub.objects.put("large", Synthetic(1 << 28))
    link = await stub_server.link("s3://stub/large")
    async with aiohttp.ClientSession(read_bufsize=1 << 10) as client, client.get(link) as answer:
        await answer.content.readany()
        told = await system(stub_server)
        assert told["downloads"] == {"active": 1}
        assert 0 < told["budget"]["used_bytes"] <= told["budget"]["bytes"]
    await stub_server.idle()
    assert (await system(stub_server))["downloads"] == {"active": 0}


async def test_probes_are_shown_of_buckets_that_the_caller_may_use(stub_server: Server, stub: LyingS3) -> None:
    probes, endpoint = stub_server.app[keys.PROBES], stub.endpoint_url
    await probes.keep(Probe(endpoint, "mine", "mine"), Verdict(proven=True, reason=""), seconds=DAY)
    await probes.keep(Probe(endpoint, "mine", "theirs"), Verdict(proven=True, reason=""), seconds=DAY)
    await probes.keep(Probe(endpoint, "theirs", "mine"), Verdict(proven=False, reason="no"), seconds=DAY)
    await probes.keep(Probe(f"{endpoint} somebody", "mine", "mine"), Verdict(proven=True, reason=""), seconds=DAY)
    await probes.keep(Probe("https://elsewhere", "mine", "mine"), Verdict(proven=True, reason=""), seconds=DAY)
    everything = (await system(stub_server))["probes"]
    assert [(each["bucket"], each["into"], each["proven"], each["detail"]) for each in everything] == [
        ("mine", "mine", True, None),
        ("mine", "theirs", True, None),
        ("theirs", "mine", False, "no"),
    ]
    _, _, ask = await user_of(stub_server, Role.USER, "mine")
    assert (await ask("GET", "/system")).json["probes"] == everything[:1]


@pytest.fixture
async def sts() -> AsyncIterator[STS]:
    async with STS("stub", roles={}, give=lambda: Keys("", "")) as running:
        yield running


async def test_whose_credentials_they_are_is_asked_once(
    stub: LyingS3, sts: STS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = time.time() + 7200
    environment = {
        **stub_environment(stub.endpoint_url),
        "AWS_ENDPOINT_URL_STS": sts.endpoint_url,
        "AWS_CREDENTIAL_EXPIRATION": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends)),
    }
    async with set_up(environment, tmp_path, monkeypatch) as server:
        first, again = await asyncio.gather(system(server), system(server))
        third = await system(server)
    for told in (first, again, third):
        assert told["credentials"] == {
            "source": "env",
            "principal": "arn:aws:iam::111122223333:user/stub",
            "expires_at": environment["AWS_CREDENTIAL_EXPIRATION"],
            "error": None,
        }
    assert len(sts.asked) == 1


async def test_an_sts_that_does_not_tell_is_left_alone(
    stub: LyingS3, sts: STS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sts.signer = "somebody-else"
    environment = {**stub_environment(stub.endpoint_url), "AWS_ENDPOINT_URL_STS": sts.endpoint_url}
    async with set_up(environment, tmp_path, monkeypatch) as server:
        for _ in range(2):
            told = (await system(server))["credentials"]
            assert (told["principal"], told["error"]) == (None, None)
        assert len(sts.asked) == 1


async def test_without_credentials_it_says_so(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RENEW_PAUSE_SECONDS", 0.0)
    environment = {"AWS_ENDPOINT_URL_S3": stub.endpoint_url}
    async with set_up(environment, tmp_path, monkeypatch) as server:
        told = (await system(server))["credentials"]
    assert (told["source"], told["principal"], told["expires_at"]) == (None, None, None)
    assert told["error"]["code"] == "no_credentials"
    assert "AWS_PROFILE" in told["error"]["detail"]
