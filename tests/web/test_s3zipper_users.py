"""Who may make S3Zipper's calls: tokens for keys and secrets, and to each user what is theirs. Nobody is trusted."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bucketzip.state.users import Role
from bucketzip.web import keys
from bucketzip.web.handlers import s3zipper
from tests.faults.lying_s3 import LyingS3
from tests.web.asking import Asker, Reply, bearer, user_of
from tests.web.serving import Server, serving, stub_environment

TOKENS = ("/gentoken", "/tokenv2")
MAIL: dict[str, Any] = {
    "smtp_host": "127.0.0.1",
    "mail_from": "zip@example.com",
    "public_url": "https://zip.example.com",
}


@pytest.fixture
async def closed(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """Nothing is mailed here, and nobody runs jobs."""
    monkeypatch.setattr(s3zipper, "SIZE_WAIT_SECONDS", 0.01)
    settings = {"trusted_cidrs": "", "run_jobs": False, "s3_tries": 1, "scratch": "off", **MAIL}
    async with serving(stub_environment(stub.endpoint_url), tmp_path / "state", monkeypatch, **settings) as running:
        yield running


async def logged_in(server: Server, path: str, *buckets: str) -> Asker:
    """A new user, by the token that a call gives for the key and the secret."""
    user, secret, _ = await user_of(server, Role.USER, *buckets)
    reply = await Asker(server)("POST", path, {"userKey": user.user_key, "userSecret": secret})
    assert (reply.status, list(reply.json)) == (200, ["token"])
    return Asker(server, **bearer(reply.json["token"]))


async def test_a_token_of_one_version_is_good_for_the_other(closed: Server) -> None:
    fields = {"filePaths": ["stub/a"]}
    for path in TOKENS:
        ask = await logged_in(closed, path)
        for version in ("v1", "v2"):
            for start in ("zipstart", "streamzip"):
                chain = await ask("POST", f"/{version}/{start}", fields)
                assert chain.status == 200
                assert (await ask("POST", f"/{version}/zipstate", chain.json)).status == 200


async def test_a_wrong_secret_gives_no_token_and_many_are_slowed_down(closed: Server) -> None:
    user, secret, _ = await user_of(closed)
    ask = Asker(closed)
    for path in TOKENS:
        reply = await ask("POST", path, {"userKey": user.user_key, "userSecret": "a guess"})
        assert reply.error == (401, "unauthenticated")
        assert set(reply.json) == {"error", "detail", "request_id"}
        assert "a guess" not in str(reply)
    for _ in range(100):  # as that many more would
        closed.app[keys.AUTHORITY].by_key.charge(user.user_key)
    for path in TOKENS:
        reply = await ask("POST", path, {"userKey": user.user_key, "userSecret": secret})
        assert reply.error == (429, "too_many_attempts")
        assert 0 < int(reply.headers["Retry-After"]) <= 1000


async def test_tasks_of_others_are_unknown(closed: Server) -> None:
    ask, other = await logged_in(closed, "/gentoken"), await logged_in(closed, "/gentoken")
    _, _, admin = await user_of(closed, Role.ADMIN)
    for start in ("/v1/zipstart", "/v1/streamzip"):
        chain = await ask("POST", start, {"filePaths": ["stub/not/there"], "resultsEmail": "a@example.org"})
        assert len(chain.json["chainTaskUUID"]) == 2
        for task in chain.json["chainTaskUUID"]:
            for path in ("/v1/zipstate", "/v2/zipstate", "/v2/status", "/v1/zipresult", "/v2/zipresult"):
                assert (await other("POST", path, task)).error == (404, "no_such_task"), path
            assert (await ask("POST", "/v1/zipstate", task)).status == 200
            assert (await admin("POST", "/v1/zipstate", task)).status == 200


async def test_no_field_names_a_bucket_that_the_user_may_not_use(closed: Server, stub: LyingS3) -> None:
    ask = await logged_in(closed, "/gentoken", "stub", "team-*")

    async def start(**fields: Any) -> Reply:
        return await ask("POST", "/v2/s3zip", {"awsBucket": "stub", "filePaths": ["stub/a"], **fields})

    for allowed in (await start(), await start(zipTo="s3://team-x/a.zip")):
        assert allowed.status == 200
    asked = len(stub.requests)
    for refused in (
        await start(filePaths=["stub/a", "s3://other/a"]),
        await start(awsBucket="other", filePaths=["a"], zipTo="s3://stub/a.zip"),
        await start(awsBucket="", filePaths=["other"], zipTo="stub/a.zip"),
        await start(awsBucket="", zipTo="other/a.zip"),
        await start(zipTo="s3://other/a.zip"),
        await start(zipTo="s3://other", zipFileName="a.zip"),
        await start(fileMapper="s3://other/map.json"),
        await ask("POST", "/v1/streamzip", {"filePaths": ["other/a"]}),
    ):
        assert refused.error == (403, "forbidden")
        assert "the bucket other" in refused.json["detail"]
    assert len(stub.requests) == asked
