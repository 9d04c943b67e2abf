"""Pages of other origins: those that may call get what a browser wants to see, the others change nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bucketzip.settings import Settings
from bucketzip.web import keys
from tests.faults.lying_s3 import LyingS3
from tests.web.asking import bearer, user_of
from tests.web.serving import Server, serving, stub_environment

APP, OTHER = "https://app.example.com", "https://evil.example.com"
MARK = {"X-Requested-With": "bucketzip"}
ALLOW = "Access-Control-Allow-Origin"


class Serve:
    """Starts servers with the setting."""

    def __init__(self, stub: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stub, self._state, self._monkeypatch = stub, state, monkeypatch

    @asynccontextmanager
    async def __call__(self, origins: str, **settings: Any) -> AsyncIterator[Server]:
        self._stub.objects.put("a", b"1")
        environment = stub_environment(self._stub.endpoint_url)
        async with serving(environment, self._state, self._monkeypatch, cors_origins=origins, **settings) as server:
            yield server


@pytest.fixture
def serve(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    return Serve(stub, tmp_path / "state", monkeypatch)


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": method}


@pytest.mark.parametrize(("origins", "told"), [(f"https://a.example.com, {APP}", APP), ("*", "*")])
async def test_a_page_that_may_call_is_let(serve: Serve, origins: str, told: str) -> None:
    async with serve(origins) as server:
        user, *_ = await user_of(server)
        token = bearer(server.app[keys.AUTHORITY].tokens.issue(user))
        async with server.client.options(f"{server.base}/downloads", headers=preflight(APP)) as answer:
            assert (answer.status, answer.headers[ALLOW]) == (204, told)
            assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST"
            assert {"Authorization", "Idempotency-Key", "Range"} <= set(
                answer.headers["Access-Control-Allow-Headers"].split(", ")
            )
        made = await server.client.post(
            f"{server.base}/downloads", json={"sources": ["s3://stub/"]}, headers={"Origin": APP, **token}
        )
        assert (made.status, made.headers[ALLOW]) == (201, told)
        url = (await made.json())["url"]
        async with server.client.get(url, headers={"Origin": APP, "Range": "bytes=1-2"}) as part:
            assert (part.status, part.headers[ALLOW]) == (206, told)
            assert {"Content-Range", "ETag", "Location", "Retry-After", "X-Request-Id"} <= set(
                part.headers["Access-Control-Expose-Headers"].split(", ")
            )
            assert ("Vary" in part.headers) == (told != "*")
        async with server.client.get(f"{server.base}/archives/x", headers={"Origin": APP}) as error:
            assert (error.status, error.headers[ALLOW]) == (404, told), "errors can be read, too"
        for answer in (made, part, error):
            assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origins", ["", APP])
async def test_a_page_that_may_not_changes_nothing(serve: Serve, origins: str) -> None:
    """A POST of text/plain comes without a preflight, with all that the visitor's address is worth."""
    async with serve(origins) as server:
        for origin in (OTHER, "null", f"{APP}.evil.example.com", "http://app.example.com"):
            async with server.client.options(f"{server.base}/downloads", headers=preflight(origin)) as answer:
                assert answer.status == 405, origin
                assert ALLOW not in answer.headers, origin
            for path in ("/downloads", "/archives"):
                headers = {"Origin": origin, "Content-Type": "text/plain"}
                body = '{"sources": ["s3://stub/"], "destination": "s3://theirs/a.zip"}'
                async with server.client.post(server.base + path, data=body, headers=headers) as answer:
                    assert (answer.status, (await answer.json())["error"]) == (403, "origin_not_allowed"), origin
                    assert ALLOW not in answer.headers, origin
            async with server.client.get(f"{server.base}/downloads", headers={"Origin": origin}) as listed:
                assert (await listed.json())["downloads"] == [], origin
                assert ALLOW not in listed.headers, origin


@pytest.mark.parametrize("origins", [APP, "*"])
async def test_a_page_that_may_call_needs_a_token_of_its_own(serve: Serve, origins: str) -> None:
    """What the visitor's address is worth is not for it: it cannot send the mark that our own pages do."""
    async with serve(origins) as server:
        headers = {"Origin": APP, "Content-Type": "text/plain"}
        async with server.client.post(
            f"{server.base}/downloads", data='{"sources": ["s3://stub/"]}', headers=headers
        ) as answer:
            assert (answer.status, (await answer.json())["error"]) == (403, "forbidden")
        async with server.client.options(f"{server.base}/downloads", headers=preflight(APP)) as answer:
            allowed = answer.headers["Access-Control-Allow-Headers"].lower()
        assert "authorization" in allowed
        assert "x-requested-with" not in allowed


async def test_our_own_pages_need_no_setting(serve: Serve) -> None:
    async with serve("", public_url="https://zip.example.com") as server:
        for origin in (server.base, "https://zip.example.com"):
            async with server.client.post(
                f"{server.base}/downloads", json={"sources": ["s3://stub/"]}, headers={"Origin": origin, **MARK}
            ) as answer:
                assert answer.status == 201


async def test_an_address_that_is_not_there_is_not_allowed(serve: Serve) -> None:
    async with (
        serve("*") as server,
        server.client.options(f"{server.base}/nowhere", headers=preflight(APP)) as answer,
    ):
        assert answer.status == 404


@pytest.mark.parametrize("origins", ["app.example.com", "https://app.example.com/", "*, https://a.example.com", "null"])
def test_what_is_no_origin_is_refused_at_start(origins: str) -> None:
    with pytest.raises(ValidationError, match="origins such as"):
        Settings(cors_origins=origins)
