"""One line a request: who did what from where, and what came of it. Nothing in it is worth stealing."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bucketzip.logs import JsonFormatter, TextFormatter
from bucketzip.state.users import Role
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, gets
from tests.web.asking import Asker, bearer, user_of
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20
FIELDS = ["who", "method", "route", "status", "outcome", "bytes", "seconds", "peer", "request_id"]


class Log:
    """What was logged so far."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def lines(self) -> list[dict[str, Any]]:
        """Those of requests."""
        told = [each for each in self._caplog.records if each.getMessage() == "request"]
        return [{name: vars(each)[name] for name in FIELDS} for each in told]

    def whole(self) -> str:
        """All of it, in both formats."""
        return "\n".join(
            formatter.format(each) for each in self._caplog.records for formatter in (TextFormatter(), JsonFormatter())
        )

    async def until(self, count: int) -> list[dict[str, Any]]:
        """As soon as there are so many: a line is written after the client has its answer."""
        async with asyncio.timeout(120):
            while len(self.lines()) < count:
                await asyncio.sleep(0.01)
        return self.lines()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.INFO)
    return Log(caplog)


@pytest.fixture
async def closed(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    environment = stub_environment(stub.endpoint_url)
    stub.objects.put("in/a", b"content")
    settings: dict[str, Any] = {"trusted_cidrs": "", "run_jobs": False, "s3_tries": 1, "scratch": "off"}
    async with serving(environment, tmp_path, monkeypatch, **settings) as running:
        yield running


async def test_who_did_what_and_what_came_of_it(closed: Server, log: Log) -> None:
    user, _, ask = await user_of(closed, Role.USER, "stub")
    made = await ask("POST", "/downloads?secret=query", {"sources": ["s3://stub/in/"]})
    link = made.json["url"].removeprefix(closed.base)
    await Asker(closed)("GET", link)
    await ask("POST", "/downloads", {"sources": ["s3://other/"]})
    await Asker(closed)("GET", "/archives")
    await ask("GET", "/archives/nothing")
    await Asker(closed)("GET", "/d/guess/a.zip")
    lines = await log.until(6)
    told = [(each["who"], each["method"], each["route"], each["status"], each["outcome"]) for each in lines]
    download = "/d/{capability}/{filename}"
    assert told == [
        (user.user_key, "POST", "/downloads", 201, "ok"),
        ("", "GET", download, 200, "ok"),
        (user.user_key, "POST", "/downloads", 403, "forbidden"),
        ("", "GET", "/archives", 401, "unauthenticated"),
        (user.user_key, "GET", "/archives/{id}", 404, "no_such_archive"),
        ("", "GET", download, 404, "no_such_link"),
    ]
    assert all(each["peer"] == "127.0.0.1" for each in lines)
    assert lines[0]["request_id"] == made.headers["X-Request-Id"]
    assert lines[1]["bytes"] > made.json["bytes"]


async def test_neither_capabilities_nor_tokens_nor_queries_are_logged(closed: Server, log: Log) -> None:
    user, secret, ask = await user_of(closed)
    url = (await ask("POST", "/downloads?secret=in-the-query", {"sources": ["s3://stub/in/"]})).json["url"]
    capability = url.split("/")[4]
    token = ask.headers["Authorization"].removeprefix("Bearer ")
    for asker in (Asker(closed), ask, Asker(closed, **bearer(token + "x")), Asker(closed, Referer=url)):
        for path in ("", "?token=" + token):
            await asker("GET", url.removeprefix(closed.base) + path)
        await asker("GET", f"/d/{capability}/manifest.json")
        await asker("PUT", f"/d/{capability}/a.zip")
    login = {"user_key": user.user_key, "user_secret": secret}
    reply = await Asker(closed, X_Requested_With="x")("POST", "/session", login)
    reply = await Asker(closed, **{"X-Requested-With": "bucketzip"})("POST", "/session", login)
    cookie = reply.headers["Set-Cookie"].split(";")[0].partition("=")[2]
    await log.until(19)
    whole = log.whole()
    assert user.user_key in whole, "this is where they would be"
    for hidden in (capability, token, secret, cookie, "in-the-query"):
        assert hidden not in whole


def start_of(asked: Asked) -> int:
    """The first byte that a ranged GET asks for."""
    return int(asked.headers["Range"].removeprefix("bytes=").partition("-")[0])


async def test_what_broke_off_has_its_line_too(closed: Server, stub: LyingS3, log: Log) -> None:
    _, _, ask = await user_of(closed)
    stub.objects.put("in/large", Synthetic(64 * MIB, 1))
    link = (await ask("POST", "/downloads", {"sources": ["s3://stub/in/large"]})).json["url"]
    port = int(closed.base.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {link.removeprefix(closed.base)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readexactly(MIB)
    writer.transport.abort()
    left = (await log.until(2))[1]
    assert (left["status"], left["outcome"], left["method"]) == ("broken", "client_gone", "GET")
    assert left["bytes"] >= MIB

    # Not the first bytes, which the answer waits for: as many as any window has are ahead of those.
    stub.on(lambda asked: gets("in/large")(asked) and start_of(asked) >= 48 * MIB, lies.access_denied())
    with pytest.raises(aiohttp.ClientPayloadError):
        await closed.fetch(link)
    broken = (await log.until(3))[2]
    assert (broken["status"], broken["outcome"]) == ("broken", "access_denied")


async def test_what_is_no_http_is_answered_and_has_its_line(closed: Server, log: Log) -> None:
    for head in (
        b"rubbish\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nAuthorization Bearer secret\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(closed.base.rpartition(":")[2]))
        writer.write(head)
        assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
        writer.close()
        await writer.wait_closed()
    for line in await log.until(3):
        assert (line["route"], line["status"], line["outcome"]) == ("unknown", 400, "malformed")
    assert "Traceback" not in log.whole()
    assert "secret" not in log.whole()


async def test_names_and_headers_make_no_lines_of_their_own(closed: Server, stub: LyingS3, log: Log) -> None:
    forged = "x\r\n2026-01-01T00:00:00.000+00:00 info request who=admin\u2028\x85\x1b[2J"
    _, _, ask = await user_of(closed)
    await ask("POST", "/downloads", {"sources": [f"s3://stub/{forged}"], "filename": "a.zip"})
    await ask("POST", "/downloads", {"sources": [f"s3://{forged}"]})
    await ask("POST", "/downloads", {"sources": ["s3://stub/in/"], forged: 1})
    await ask(
        "GET", f"/archives/{forged.encode().hex()}%0d%0aforged", User_Agent="\u00e9 forged", X_Request_Id="forged"
    )
    await ask("GET", "/archives?state=%0aforged")
    await log.until(5)
    lines = log.whole().split("\n")
    assert any("no_such_object" in line or "nothing" in line for line in lines)
    for line in lines:
        assert line.splitlines() == [line]
        assert "\x1b" not in line
        assert not line.startswith("2026-01-01T00:00:00.000")
        if line.startswith("{"):
            json.loads(line)
