"""S3Zipper's calls by who means harm: too much, paths that lead elsewhere, and texts that would be lines of the log."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bucketzip.logs import JsonFormatter, TextFormatter
from bucketzip.web.handlers import s3zipper
from tests.faults.lying_s3 import LyingS3
from tests.web.serving import Server, serving, stub_environment
from tests.web.zipping import call, ended, names_in, started

MILLION = 1_000_000
PART = b'--b\r\nContent-Disposition: form-data; name="filePaths"\r\n\r\nb/k\r\n'
ENCODINGS: dict[str, Callable[[int], bytes]] = {
    "application/x-www-form-urlencoded": lambda paths: b"&".join([b"filePaths=b%2Fk"] * paths),
    "application/json": lambda paths: b'{"filePaths":[' + b",".join([b'"b/k"'] * paths) + b"]}",
    "multipart/form-data; boundary=b": lambda paths: PART * paths + b"--b--\r\n",
}
MIB = 1 << 20


@pytest.fixture
async def idle(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(s3zipper, "SIZE_WAIT_SECONDS", 0.01)
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch, run_jobs=False) as running:
        yield running


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_million_paths_are_refused_before_they_have_come(idle: Server, encoding: str) -> None:
    """What was never read is never held: the answer comes when 2 MiB of the body have been sent, and no more."""
    size = len(ENCODINGS[encoding](1000)) // 1000 * MILLION
    assert size > 4 * MIB
    body = ENCODINGS[encoding](MILLION // 4)[: 2 * MIB]
    head = f"POST /v1/zipstart HTTP/1.1\r\nHost: x\r\nContent-Type: {encoding}\r\nContent-Length: {size}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(idle.base.rpartition(":")[2]))
    writer.write(head.encode() + body)
    async with asyncio.timeout(120):
        assert (await reader.readline()).split()[1] == b"413"
    writer.close()


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_no_more_paths_than_10_000_are_taken(idle: Server, encoding: str) -> None:
    body = ENCODINGS[encoding](10_101)
    assert len(body) < MIB
    status, error = await call(idle, "/v1/zipstart", data=body, headers={"Content-Type": encoding})
    assert (status, error["error"]) == (400, "invalid_request")
    assert "name folders instead of their objects" in error["detail"]


async def test_no_archive_is_written_elsewhere_than_it_says(idle: Server) -> None:
    for path in ("../a.zip", "stub/../other/a.zip", "/../../a.zip", "s3://stub/../other/a.zip", "a\\..\\b.zip"):
        for fields in ({"zipTo": path}, {"zipTo": "folder", "zipFileName": path}):
            status, error = await call(idle, "/v2/s3zip", {"awsBucket": "stub", "filePaths": ["a"], **fields})
            assert (status, error["error"]) == (400, "invalid_request"), fields
            assert error["detail"].startswith("zipTo, zipFileName: "), fields
    async with idle.client.get(f"{idle.base}/archives") as answer:
        assert (await answer.json())["archives"] == []


async def test_names_in_an_archive_lead_nowhere_else_either(stub: LyingS3, stub_server: Server) -> None:
    stub.objects.put("in/../../etc/passwd", b"1")
    stub.objects.put("in/c:\\x\ny", b"2")
    chain = await started(stub_server, "/v1/streamzip", filePaths=["stub"], zipFileName="../../x")
    link = (await ended(stub_server, chain))["Results"][0]["Value"]
    assert link.endswith("/x.zip")
    for name in names_in(await stub_server.fetch(link)):
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert "\\" not in name
        assert name.isprintable()


async def test_paths_make_no_lines_of_the_log(stub_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    forged = "2026-11-22T00:00:00.000+00:00 error somebody logged in"
    path = f"stub/x\n{forged}\r\x1b[2J\u2028{forged}\x9b1m"
    for start in ("/v1/zipstart", "/v1/streamzip"):
        chain = await started(stub_server, start, filePaths=[path], zipTo="stub/a.zip")
        assert (await ended(stub_server, chain))["State"] == "FAILURE"
        await call(stub_server, start, {"filePaths": [path], "zipTo": path, "resultsEmail": path, "awsKey": path})
    lines = [line.format(each) for each in caplog.records for line in (TextFormatter(), JsonFormatter())]
    assert any(forged in line for line in lines), "they are told, but as what they are"
    for line in lines:
        assert line.isprintable()
        assert not line.startswith(forged)
    assert all(json.loads(line) for line in lines if line.startswith("{"))
