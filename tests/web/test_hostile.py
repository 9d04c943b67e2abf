"""Requests that are meant to hurt: what each comes to. docs/threat-model.md tells why."""

import asyncio
import gzip
import json
import logging
import re
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import web

from bucketzip.app import build_app
from bucketzip.logs import JsonFormatter
from bucketzip.plan.request import MAX_SOURCES
from bucketzip.settings import Settings
from tests.faults.lying_s3 import LyingS3
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20
KEPT = ("/docs", "/openapi.yaml", "/console", "/console/app.js")


async def posted(server: Server, body: bytes | BytesIO, **headers: str) -> tuple[int, str]:
    """Status and error of POST /downloads."""
    async with server.client.post(f"{server.base}/downloads", data=body, headers=headers) as answer:
        return answer.status, (await answer.json())["error"]


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=1.zip", "a\x00.zip", "../../etc/passwd", "a\\b", "..", "a\x7f"])
async def test_a_filename_that_would_be_more_is_refused(stub_server: Server, name: str) -> None:
    status, answer = await stub_server.ask("s3://stub/", filename=name)
    assert (status, answer["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "name",
    [
        'a"; filename="b.exe',
        "a; filename*=UTF-8''b.exe",
        "\uff0e\uff0e\uff0f\uff0e\uff0e\uff0fetc\uff0fpasswd",  # wide dots and slashes, which ASCII has as plain ones
        "\uff3cwindows",
        "a\u0085b\u2028c",
        "%0d%0aX: y",
        ".bashrc",
        "\u202egpj.exe",
        "-rf",
        "\U0001f600",
    ],
)
async def test_a_filename_stays_within_its_header_and_its_place(stub: LyingS3, stub_server: Server, name: str) -> None:
    stub.objects.put("a", b"1")
    status, made = await stub_server.ask("s3://stub/", filename=name)
    assert status == 201
    async with stub_server.client.head(made["url"]) as head:
        told = head.headers["Content-Disposition"]
    plain = re.match(r'attachment; filename="([^"]*)"', told)
    assert plain is not None
    assert re.fullmatch(r"[ -~]+", told)
    assert not re.search(r"[\\/%]", plain[1])
    assert not plain[1].startswith(".")
    rest = told[plain.end() :]
    assert re.fullmatch(r"(; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+)?", rest)
    assert made["url"].count("/") == 5


async def test_keys_stay_within_the_folder_that_they_are_unpacked_in(stub: LyingS3, stub_server: Server) -> None:
    for key in ("../up", "/root", "a/../../b", "C:\\x", "..\\y", "n\x01l", "CON/../z"):
        stub.objects.put(f"in/{key}", b"1")
    archive = await stub_server.zip({"url": "s3://stub/in/", "prefix": "../../p"}, root="/../r")
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        names = opened.namelist()
    assert len(names) == 7
    for name in names:
        assert not re.search(r"[\x00-\x1f\\]", name)
        assert not re.match(r"[A-Za-z]:", name)
        assert not name.startswith("/")
        assert ".." not in name.split("/")


async def test_an_error_is_never_as_long_as_what_was_wrong(stub_server: Server) -> None:
    body = json.dumps({"sources": [{"url": "s3://bb/", "x" * 100: 1}] * 5000}).encode()
    async with stub_server.client.post(f"{stub_server.base}/downloads", data=body) as answer:
        assert answer.status == 400
        detail = (await answer.json())["detail"]
    assert detail.endswith("; and 4,980 more")
    assert len(detail) < 8192


async def test_a_million_sources_are_refused(stub_server: Server) -> None:
    many = BytesIO(json.dumps({"sources": ["s3://bb/"] * 10**6}).encode())
    assert await posted(stub_server, many) == (413, "request_too_large")
    few = json.dumps({"sources": ["s3://bb/"] * (MAX_SOURCES + 1)}).encode()
    assert len(few) < MIB
    assert await posted(stub_server, few) == (400, "invalid_request")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x"])
async def test_a_compressed_body_is_refused(stub_server: Server, encoding: str) -> None:
    """Also for one that would unfold to a gigabyte: it is not unfolded."""
    bomb = gzip.compress(b" " * (8 * MIB))
    assert await posted(stub_server, bomb, **{"Content-Encoding": encoding}) == (415, "unsupported_encoding")


async def test_a_body_that_dribbles_is_let_go(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path / "state", monkeypatch, client_read_seconds=1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.base.rpartition(":")[2]))
        writer.write(b"POST /downloads HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
        async with asyncio.timeout(120):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"X-Request-Id" in head
        writer.close()
        await writer.wait_closed()


async def test_a_head_that_dribbles_is_let_go(tmp_path: Path) -> None:
    """As `serve` runs it: what has sent no request for `keepalive_timeout` is closed, however much of one it sent."""
    runner = web.AppRunner(build_app(Settings(port=0, state_dir=tmp_path, run_jobs=False)), keepalive_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        async with asyncio.timeout(120):
            assert await reader.read() == b""
        writer.close()
    finally:
        await runner.cleanup()


async def test_what_is_no_http_is_refused_and_logged_without_a_trace(
    stub_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(stub_server.base.rpartition(":")[2]))
    with caplog.at_level(logging.INFO):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
    writer.close()
    (line,) = [record for record in caplog.records if record.message == "request"]
    assert (vars(line)["route"], vars(line)["status"]) == ("unknown", 400)


async def test_a_client_cannot_choose_its_request_id_nor_write_into_the_log(
    stub_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for told in ("mine-1", "a b", "x" * 129, "\u00fc"):
        with caplog.at_level(logging.INFO):
            caplog.clear()
            url, headers = f"{stub_server.base}/archives/x", {"X-Request-Id": told}
            async with stub_server.client.get(url, headers=headers) as answer:
                ours = answer.headers["X-Request-Id"]
                assert (await answer.json())["request_id"] == ours
        assert re.fullmatch(r"[0-9a-f]{16}", ours)
        (line,) = [record for record in caplog.records if record.message == "request"]
        logged = json.loads(JsonFormatter().format(line))
        assert logged["request_id"] == ours
        assert logged.get("client_request_id") == (told if told == "mine-1" else None)


async def test_what_a_request_began_is_logged_by_its_id(stub: LyingS3, stub_server: Server) -> None:
    stub.objects.put("a", b"1")
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonFormatter().format(record))

    log, handler = logging.getLogger("bucketzip"), Keeping()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        async with stub_server.client.post(f"{stub_server.base}/downloads", json={"sources": ["s3://stub/"]}) as answer:
            request_id = answer.headers["X-Request-Id"]
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
    (planned,) = [each for each in map(json.loads, lines) if each["event"] == "planned"]
    assert planned["request_id"] == request_id


@pytest.mark.parametrize("path", ["/downloads", "/archives", "/healthz", "/nowhere", *KEPT])
async def test_every_answer_says_what_a_browser_may_do_with_it(stub_server: Server, path: str) -> None:
    async with stub_server.client.get(stub_server.base + path) as answer:
        headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == ("no-cache" if path in KEPT else "no-store")


async def test_an_answer_with_a_link_is_kept_by_nobody(stub: LyingS3, stub_server: Server) -> None:
    stub.objects.put("a", b"1")
    async with stub_server.client.post(f"{stub_server.base}/downloads", json={"sources": ["s3://stub/"]}) as answer:
        assert answer.status == 201
        assert answer.headers["Cache-Control"] == "no-store"
