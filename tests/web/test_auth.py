"""Who gets in, by what, and what each may do. The server is one in a hostile network: nobody is trusted by default."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bucketzip.app import build_app
from bucketzip.settings import Settings
from bucketzip.state.initial_user import read_initial_user
from bucketzip.state.instance_key import load_instance_key
from bucketzip.state.tokens import LIFETIME_SECONDS, Tokens
from bucketzip.state.users import Role
from bucketzip.web import keys
from bucketzip.web.access import Access, access_of
from bucketzip.web.routes import routes
from tests.faults.lying_s3 import LyingS3
from tests.web.asking import Asker, bearer, user_of
from tests.web.serving import Server, serving, stub_environment

PUBLIC = {
    ("GET", "/d/{capability}/manifest.json"),
    ("GET", "/d/{capability}/{filename}"),
    ("GET", "/r/{capability}"),
    ("POST", "/gentoken"),
    ("POST", "/tokenv2"),
    ("POST", "/session"),
    ("DELETE", "/session"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/openapi.yaml"),
    ("GET", "/docs"),
    ("GET", "/"),
    ("GET", "/console"),
    ("GET", "/console/"),
    ("GET", "/console/{file}"),
}
MARK = {"X-Requested-With": "bucketzip"}


@pytest.fixture
async def closed(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    environment = stub_environment(stub.endpoint_url)
    stub.objects.put("in/a", b"content")
    async with serving(environment, tmp_path / "state", monkeypatch, trusted_cidrs="", run_jobs=False) as running:
        yield running


async def failures(server: Server, reason: str) -> float:
    async with server.client.get(f"{server.base}/metrics") as answer:
        found = re.search(rf'auth_failures_total{{reason="{reason}"}} (\S+)', await answer.text())
    return float(found[1]) if found else 0.0


def test_what_is_open_is_known() -> None:
    """A new route is for users. One that is marked as open has to be written down here, too."""
    opened = {(each.method, each.path) for each in routes() if access_of(each) is Access.PUBLIC}
    assert opened == PUBLIC
    assert [each.path for each in routes() if access_of(each) is Access.METRICS] == ["/metrics"]


async def test_every_route_that_is_not_open_wants_a_token(closed: Server) -> None:
    asked = 0
    for route in routes():
        path = re.sub(r"{\w+}", "x" * 22, route.path)
        reply = await Asker(closed)(route.method, path)
        if access_of(route) is Access.USER:
            assert reply.error == (401, "unauthenticated"), route
            assert reply.headers["WWW-Authenticate"] == 'Bearer realm="bucketzip"'
            assert "bucketzip user token" in reply.json["detail"]
            asked += 1
        else:
            assert reply.status != 401, route
    assert asked > 4
    assert (await Asker(closed)("GET", "/nowhere")).error == (401, "unauthenticated")
    assert await failures(closed, "no_token") == asked + 1


async def test_a_token_lets_in(closed: Server) -> None:
    user, _, ask = await user_of(closed)
    assert (await ask("GET", "/archives")).status == 200
    assert (await ask("GET", "/nowhere")).error == (404, "not_found")
    assert (await ask("PUT", "/archives")).error == (405, "method_not_allowed")
    told = await ask("GET", "/session")
    assert told.json == {"user": user.user_key, "role": "user", "buckets": ["*"]}
    scheme = Asker(closed, Authorization=ask.headers["Authorization"].replace("Bearer", "bearer"))
    assert (await scheme("GET", "/session")).status == 200


async def test_the_initial_user_is_there(closed: Server, tmp_path: Path) -> None:
    initial = await asyncio.to_thread(read_initial_user, tmp_path / "state")
    assert initial is not None
    body = {"user_key": initial.user_key, "user_secret": initial.user_secret}
    reply = await Asker(closed, **MARK)("POST", "/session", body)
    assert reply.json == {"user": initial.user_key, "role": "admin", "buckets": ["*"]}


async def test_forged_tokens(closed: Server, tmp_path: Path) -> None:
    """What a token may be made into is in tests/state/test_tokens.py; here, that nothing of it gets in."""
    authority = closed.app[keys.AUTHORITY]
    user, _, ask = await user_of(closed)
    good = ask.headers["Authorization"].removeprefix("Bearer ")
    head, claims, signature = good.split(".")
    own, other = [await asyncio.to_thread(load_instance_key, tmp_path / each) for each in ("state", "other")]
    forged = {
        "another instance's": Tokens(other).issue(user),
        "with none for an algorithm": f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.",
        "changed": f"{head}.{claims}.{signature[:-2]}AA",
        "no token": "user:secret",
        "empty": "",
        "deeply nested": f"{'W1tb' * 500}.{claims}.{signature}",
    }
    for name, token in forged.items():
        assert (await Asker(closed, **bearer(token))("GET", "/archives")).error == (401, "unauthenticated"), name
    assert await failures(closed, "bad_token") == len(forged)
    past = Tokens(own, lambda: time.time() - LIFETIME_SECONDS - 60)
    aged, _ = await authority.users.add(Role.ADMIN)
    expired = past.issue(type(aged)(aged.user_key, aged.role, aged.buckets, 0, 0))
    reply = await Asker(closed, **bearer(expired))("GET", "/archives")
    assert reply.error == (401, "unauthenticated")
    assert "expired" in reply.json["detail"]
    assert await failures(closed, "expired_token") == 1


async def test_tokens_end_with_a_rotation_and_with_the_user(closed: Server) -> None:
    users = closed.app[keys.AUTHORITY].users
    rotated, _, ask_rotated = await user_of(closed)
    removed, _, ask_removed = await user_of(closed)
    for ask in (ask_rotated, ask_removed):
        assert (await ask("GET", "/archives")).status == 200
    await users.rotate(rotated.user_key)
    await users.remove(removed.user_key)
    for ask in (ask_rotated, ask_removed):
        reply = await ask("GET", "/archives")
        assert reply.error == (401, "unauthenticated")
        assert "revoked" in reply.json["detail"]
    assert await failures(closed, "revoked_token") == 2


async def test_a_trusted_network_needs_no_token_and_a_bad_one_is_refused_there_too(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, trusted_cidrs="10.0.0.0/8, 127.0.0.1/32") as server:
        told = await Asker(server)("GET", "/session")
        assert told.json == {"user": "trusted", "role": "user", "buckets": ["*"]}
        assert (await Asker(server, **bearer("a.b.c"))("GET", "/session")).status == 401
        assert (await Asker(server, Cookie="bucketzip-session=a.b.c")("GET", "/session")).status == 401
        assert (await Asker(server, Authorization="Basic YTpi")("GET", "/session")).status == 200, "a proxy's own"
        _, _, ask = await user_of(server)
        assert (await ask("GET", "/session")).json["user"] != "trusted"
        # From another address of this machine, which is not in these networks.
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(connector=connector) as client:
            for headers in FORWARDED:
                async with client.get(f"{server.base}/session", headers=headers) as answer:
                    assert answer.status == 401, headers


FORWARDED: list[dict[str, str]] = [
    {},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": "10.0.0.1, 127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Real-IP": "127.0.0.1"},
    {"X-Client-IP": "127.0.0.1"},
    {"True-Client-IP": "127.0.0.1"},
    {"X-Forwarded-Host": "127.0.0.1", "Host": "127.0.0.1"},
    {"Via": "1.1 127.0.0.1"},
    {"Remote-Addr": "127.0.0.1"},
]


async def test_an_ipv4_peer_is_one_on_an_ipv6_socket_too(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There it has the address ::ffff:127.0.0.1."""
    for name, value in stub_environment(stub.endpoint_url).items():
        monkeypatch.setenv(name, value)
    for cidrs, status in (("127.0.0.0/8", 200), ("127.0.0.2/32,::1", 401)):
        runner = web.AppRunner(build_app(Settings(state_dir=tmp_path, trusted_cidrs=cidrs, drain_seconds=0)))
        await runner.setup()
        try:
            listening = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
            await web.SockSite(runner, listening).start()
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/session"
            async with aiohttp.ClientSession() as client, client.get(url) as answer:
                assert answer.status == status
        finally:
            await runner.cleanup()


async def test_metrics_are_for_this_machine_trusted_networks_users_and_their_token(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Unix socket stands for any peer that is not on this machine: it has no address."""
    for name, value in stub_environment(stub.endpoint_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BUCKETZIP_METRICS_TOKEN", "the scrape token")
    app = build_app(Settings(state_dir=tmp_path, drain_seconds=0))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await web.UnixSite(runner, str(tmp_path / "socket")).start()
        user, _ = await app[keys.AUTHORITY].users.add(Role.USER)
        token = app[keys.AUTHORITY].tokens.issue(user)

        async def status(client: aiohttp.ClientSession, path: str = "/metrics", **headers: str) -> int:
            async with client.get(base + path, headers=headers) as answer:
                return answer.status

        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as here:
            assert await status(here) == 200
            assert await status(here, **bearer("wrong")) == 401, "whoever shows something has to be right"
        base = "http://elsewhere"
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "socket"))) as elsewhere:
            assert await status(elsewhere) == 401
            assert await status(elsewhere, **bearer("the scrape toke")) == 401
            assert await status(elsewhere, **bearer("")) == 401
            assert await status(elsewhere, **bearer("the scrape token")) == 200
            assert await status(elsewhere, **bearer(token)) == 200
            assert await status(elsewhere, "/archives", **bearer("the scrape token")) == 401, "it is for metrics alone"
    finally:
        await runner.cleanup()


async def test_a_metrics_token_that_is_not_set_lets_nobody_in(closed: Server) -> None:
    assert not closed.app[keys.AUTHORITY].is_metrics_token("")


NOT_ALLOWED: list[tuple[list[object], str | None]] = [
    (["s3://secrets/"], None),
    (["s3://allowed-1/a", "s3://secrets/x"], None),
    (["s3://allowed-1/a", {"url": "s3://secrets/x", "name": "y"}], None),
    (["s3://allowed/"], None),
    (["s3://Allowed-1/"], None),
    (["s3://secrets/"], "s3://allowed-1/a.zip"),
    (["s3://allowed-1/a"], "s3://secrets/a.zip"),
]


async def test_a_bucket_that_is_not_allowed_is_refused_wherever_it_is_named(closed: Server, stub: LyingS3) -> None:
    _, _, ask = await user_of(closed, Role.ADMIN, "allowed-?", "exports")
    for sources, destination in NOT_ALLOWED:
        body = {"sources": sources} | ({"destination": destination} if destination else {})
        reply = await ask("POST", "/archives" if destination else "/downloads", body)
        assert reply.error == (403, "forbidden"), body
        assert "allowed-?, exports" in reply.json["detail"]
    assert not stub.requests, "S3 was not even asked"
    assert await failures(closed, "forbidden") == len(NOT_ALLOWED)


async def test_a_token_from_s3zippers_calls_is_one_of_ours_and_allows_no_more(closed: Server, stub: LyingS3) -> None:
    user, secret, _ = await user_of(closed, Role.USER, "allowed", "exports")
    for path in ("/gentoken", "/tokenv2"):
        wrong = await Asker(closed)("POST", path, {"userKey": user.user_key, "userSecret": secret[::-1]})
        assert wrong.error == (401, "unauthenticated")
        reply = await Asker(closed)("POST", path, {"userKey": user.user_key, "userSecret": secret})
        ask = Asker(closed, **bearer(reply.json["token"]))
        assert (await ask("GET", "/session")).json["user"] == user.user_key
        for start in ("/v1/zipstart", "/v2/zipstart", "/v2/s3zip", "/v1/streamzip", "/v2/streamzip"):
            for fields in (
                {"awsBucket": "secrets", "filePaths": ["secrets/a"]},
                {"filePaths": ["allowed/a"], "fileMapper": "secrets/map.json"},
            ):
                reply = await ask("POST", start, fields | {"zipTo": "a.zip"})
                assert reply.error == (403, "forbidden"), (start, fields)
    assert not stub.requests, "S3 was not even asked"


async def test_a_bucket_that_is_allowed_is_taken(closed: Server) -> None:
    _, _, ask = await user_of(closed, Role.USER, "st?b")
    assert (await ask("POST", "/downloads", {"sources": ["s3://stub/in/"]})).status == 201
    body = {"sources": ["s3://stub/in/"], "destination": "s3://stub/a.zip"}
    assert (await ask("POST", "/archives", body)).status == 202


async def test_users_see_and_end_their_own_jobs_and_admins_all(closed: Server) -> None:
    _, _, one = await user_of(closed)
    _, _, two = await user_of(closed)
    _, _, admin = await user_of(closed, Role.ADMIN)
    ids = []
    for ask in (one, two):
        reply = await ask(
            "POST", "/archives", {"sources": ["s3://stub/in/"], "destination": "s3://stub/a.zip"}, Idempotency_Key="k"
        )
        assert reply.status == 202, "a key is of its user"
        ids.append(reply.json["id"])
    for ask, seen in ((one, ids[:1]), (two, ids[1:]), (admin, ids[::-1])):
        reply = await ask("GET", "/archives")
        assert [each["id"] for each in reply.json["archives"]] == seen
    page = await admin("GET", "/archives?limit=1")
    assert [each["id"] for each in page.json["archives"]] == ids[1:]

    unknown = await two("GET", f"/archives/{'0' * 32}")
    for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
        reply = await two(method, f"/archives/{ids[0]}{path}")
        assert reply.error == (404, "no_such_archive")
        assert reply.json["detail"] == unknown.json["detail"], "as if there were none"
    assert (await one("GET", f"/archives/{ids[0]}")).json["state"] == "queued", "nobody ended it"
    assert (await one("DELETE", f"/archives/{ids[0]}")).json["state"] == "cancelled"
    assert (await admin("DELETE", f"/archives/{ids[1]}")).json["state"] == "cancelled"


async def test_links_need_no_token_and_cannot_be_guessed(closed: Server) -> None:
    _, _, ask = await user_of(closed)
    url = (await ask("POST", "/downloads", {"sources": ["s3://stub/in/"]})).json["url"].removeprefix(closed.base)
    assert (await Asker(closed)("GET", url)).status == 200
    assert (await Asker(closed, **bearer("a.b.c"))("GET", url)).status == 200, "whatever else a client sends"
    capability = url.split("/")[2]
    assert re.fullmatch(r"[\w-]{22}", capability), "128 bits"
    before = await closed.metric("bucketzip_errors_total")
    details = set()
    guesses = ["A" * 22, capability[:-1], capability.swapcase(), capability + "A", "x", "%00", "..%2f..", "\u00fc"]
    for guess in guesses:
        reply = await Asker(closed)("GET", f"/d/{guess}/archive.zip")
        assert reply.error == (404, "no_such_link"), guess
        details.add(reply.json["detail"])
    assert len(details) == 1, "all alike"
    assert await closed.metric("bucketzip_errors_total") == before + len(guesses)


async def test_a_session_in_a_browser(closed: Server) -> None:
    user, secret, _ = await user_of(closed, Role.USER, "stub")
    body = {"user_key": user.user_key, "user_secret": secret}
    assert (await Asker(closed)("POST", "/session", body)).error == (403, "forbidden"), "a form of another site"
    reply = await Asker(closed, **MARK)("POST", "/session", body)
    assert reply.json == {"user": user.user_key, "role": "user", "buckets": ["stub"]}
    cookie = reply.headers["Set-Cookie"]
    value, *flags = cookie.split("; ")
    assert set(flags) == {"HttpOnly", "SameSite=Strict", f"Max-Age={LIFETIME_SECONDS}", "Path=/"}
    assert secret not in cookie

    browser = Asker(closed, Cookie=value)
    closed.client.cookie_jar.clear()
    assert (await browser("GET", "/session")).json["user"] == user.user_key
    wanted = {"sources": ["s3://stub/in/"]}
    for headers in (
        {},
        {"X_Requested_With": "XMLHttpRequest"},
        {"Origin": closed.base, "Sec_Fetch_Site": "same-origin"},
    ):
        reply = await browser("POST", "/downloads", wanted, **headers)
        assert reply.error == (403, "forbidden"), "a page of another origin could do that"
        assert "X-Requested-With: bucketzip" in reply.json["detail"]
    assert await failures(closed, "cross_site") == 4
    assert (await browser("POST", "/downloads", wanted, X_Requested_With="bucketzip")).status == 201

    assert (await browser("DELETE", "/session")).status == 403
    ended = await browser("DELETE", "/session", X_Requested_With="bucketzip")
    assert ended.status == 204
    assert "Max-Age=0" in ended.headers["Set-Cookie"]
    closed.client.cookie_jar.clear()


async def test_a_session_over_https_stays_there(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, public_url="https://zip.example.com") as server:
        user, secret, _ = await user_of(server)
        body = {"user_key": user.user_key, "user_secret": secret}
        reply = await Asker(server, **MARK)("POST", "/session", body)
        assert "; Secure" in reply.headers["Set-Cookie"]


async def test_a_page_elsewhere_begins_nothing_by_a_browser_in_a_trusted_network(stub_server: Server) -> None:
    """Such a browser is let in by its address alone, whatever page makes it ask."""
    for headers, code in (
        ({"Origin": "https://evil.example"}, "origin_not_allowed"),
        ({"Origin": "null"}, "origin_not_allowed"),
        ({"Sec_Fetch_Site": "cross-site"}, "forbidden"),
    ):
        ask = Asker(stub_server)
        for method, path in (("POST", "/downloads"), ("POST", "/archives"), ("DELETE", "/archives/x")):
            assert (await ask(method, path, {"sources": ["s3://stub/"]}, **headers)).error == (403, code)
        assert (await ask("GET", "/archives", **headers)).status == 200, "no page can read the answer"


async def test_a_login_that_is_none_is_told_why_without_the_secret(closed: Server) -> None:
    for body in (
        {},
        {"user_key": "x"},
        {"user_key": "x", "user_secret": 7},
        {"user_key": "x" * 257, "user_secret": "hidden-secret"},
        {"user_key": "x", "user_secret": "hidden-secret" * 100},
    ):
        reply = await Asker(closed, **MARK)("POST", "/session", body)
        assert reply.error == (400, "invalid_request"), body
        assert "hidden-secret" not in reply.json["detail"]


async def test_two_logins_at_once_do_not_hold_up_others(closed: Server) -> None:
    """Secrets are hashed in threads: who is known already goes on meanwhile."""
    user, secret, ask = await user_of(closed)
    body = {"user_key": user.user_key, "user_secret": secret}
    logins = [asyncio.create_task(Asker(closed, **MARK)("POST", "/session", body)) for _ in range(8)]
    assert (await ask("GET", "/archives")).status == 200
    assert [reply.status for reply in await asyncio.gather(*logins)] == [200] * 8
