"""A story that one id finds in the log: of a download, and of an archive that was asked for."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bucketzip.logs import JsonFormatter
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3
from tests.jobs.archiving import Client
from tests.web.serving import serving, stub_environment

Line = dict[str, Any]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the server says on its standard error."""
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(JsonFormatter())
    ours = logging.getLogger("bucketzip")
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    yield stream
    ours.removeHandler(handler)
    ours.setLevel(before)


def lines(log: io.StringIO, **having: object) -> list[Line]:
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in told if all(line.get(name) == value for name, value in having.items())]


async def test_a_download(stub: LyingS3, log: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.objects.put("in/a", Synthetic(1000, 1))
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch) as server:
        asked = {"sources": ["s3://stub/in/"], "filename": "mine.zip"}
        async with server.client.post(f"{server.base}/downloads", json=asked) as answer:
            link, planning_id = (await answer.json())["url"], answer.headers["X-Request-Id"]
        async with server.client.get(link) as answer:
            size, download_id = len(await answer.read()), answer.headers["X-Request-Id"]
        await server.idle()
    planned, *_ = lines(log, request_id=planning_id)
    assert (planned["event"], planned["archive"], planned["entries"]) == ("planned", "mine.zip", 1)
    download = next(line for line in lines(log, request_id=download_id) if line["event"] == "download")
    assert download["link"] == planned["link"]
    assert (download["archive"], download["outcome"], download["bytes"]) == ("mine.zip", "complete", size)
    assert link.split("/")[4] not in log.getvalue(), "the link's secret part"


async def test_an_archive(stub: LyingS3, log: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.objects.put("in/a", Synthetic(1000, 1))
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch) as server:
        client = Client(server.client, server.base)
        done = await client.archived("s3://stub/in/", destination="s3://stub/out/a.zip")
        failed = await client.failed("s3://stub/missing/", destination="s3://stub/out/b.zip")
    story = lines(log, job=done["id"])
    assert [line["event"] for line in story] == ["archive accepted", "archive planned", "archive"]
    assert {line["archive"] for line in story} == {"s3://stub/out/a.zip"}
    assert story[0]["request_id"], "of whoever asked for it"
    assert (story[2]["outcome"], story[2]["bytes"]) == ("succeeded", done["result"]["bytes"])
    assert story[2]["copied_bytes"] + story[2]["built_bytes"] == done["result"]["bytes"]
    assert "request_id" not in story[2], "it outlives that"
    assert lines(log, job=failed["id"])[-1]["outcome"] == "nothing_to_zip"
