"""Metrics of several processes, told by any of them."""

import asyncio
import re
import socket
from pathlib import Path

import aiohttp
import pytest

from bucketzip.exposition import Expositions, Format, together
from tests.command import begun, serving
from tests.web.serving import stub_environment


async def metrics(base: str) -> str:
    async with aiohttp.ClientSession() as client, client.get(f"{base}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return await answer.text()


def processes(text: str, metric: str) -> dict[str, str]:
    return dict(re.findall(rf'^{metric}{{process="([^"]+)".*}} (\S+)$', text, re.MULTILINE))


async def test_any_process_tells_of_all(tmp_path: Path) -> None:
    """Two servers and a worker; one that was killed is forgotten."""
    environment = stub_environment("http://127.0.0.1:1")
    works = [tmp_path / name for name in ("one", "two")]
    for work in works:
        work.mkdir()
    options = ("--state-dir", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run"))
    with (
        serving(environment, works[0], *options, "--process-name=serve-1") as one,
        serving(environment, works[1], *options, "--process-name=serve-2") as two,
    ):
        async with begun(environment, tmp_path, "work", *options, "--process-name=work") as worker:
            here, there = await asyncio.to_thread(lambda: (one.base, two.base))
            assert worker.process.stderr is not None
            await worker.process.stderr.readuntil(b"looking for archives")
            for _ in range(3):
                await metrics(here)
            text = await metrics(there)
            assert set(processes(text, "process_resident_memory_bytes")) == {"serve-1", "serve-2", "work"}
            requests = r"bucketzip_http_requests_total"
            assert processes(text, requests) == {"serve-1": "3.0"}, "and this one is told when it is answered"
            assert len(re.findall(r"^# TYPE bucketzip_downloads_active gauge$", text, re.MULTILINE)) == 1
        one.process.kill()
        one.process.wait()
        assert set(processes(await metrics(there), "process_resident_memory_bytes")) == {"serve-2"}
        assert [path.name for path in (tmp_path / "run").glob("*.metrics")] == ["serve-2.metrics"]


def test_what_belongs_to_one_metric_stands_together() -> None:
    one = b'# HELP a A.\n# TYPE a gauge\na 1.0\n# HELP b B {}.\n# TYPE b counter\nb_total{c="d e{"} 2.0\n'
    two = b"# HELP b B {}.\n# TYPE b counter\n# HELP a A.\n# TYPE a gauge\na 3.0\n"
    assert together({"x": one, "y": two}) == (
        b'# HELP a A.\n# TYPE a gauge\na{process="x"} 1.0\na{process="y"} 3.0\n'
        b'# HELP b B {}.\n# TYPE b counter\nb_total{process="x",c="d e{"} 2.0\n'
    )


def test_openmetrics_has_one_end_and_keeps_exemplars() -> None:
    text = b'# HELP a A.\n# TYPE a counter\na_total 1.0 # {request_id="r"} 0.5 1.0\n# EOF\n'
    assert together({"x": text, "y": text}) == (
        b"# HELP a A.\n# TYPE a counter\n"
        b'a_total{process="x"} 1.0 # {request_id="r"} 0.5 1.0\n'
        b'a_total{process="y"} 1.0 # {request_id="r"} 0.5 1.0\n'
        b"# EOF\n"
    )


async def own(form: Format) -> bytes:
    return b"# HELP a A.\n# TYPE a gauge\na 1.0\n" + (b"# EOF\n" if form is Format.OPENMETRICS else b"")


async def test_processes_tell_each_other_in_the_format_that_was_asked_for(tmp_path: Path) -> None:
    async with (
        Expositions(own, tmp_path, "one").offered() as one,
        Expositions(own, tmp_path, "two").offered(),
    ):
        samples = b'# HELP a A.\n# TYPE a gauge\na{process="one"} 1.0\na{process="two"} 1.0\n'
        assert await one.text(Format.TEXT) == samples
        assert await one.text(Format.OPENMETRICS) == samples + b"# EOF\n"


async def test_a_process_that_is_stuck_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bucketzip.exposition.ANSWER_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(str(tmp_path / "stuck.metrics"))
        stuck.listen()
        async with Expositions(own, tmp_path, "own").offered() as expositions:
            assert await expositions.text(Format.TEXT) == b'# HELP a A.\n# TYPE a gauge\na{process="own"} 1.0\n'
    assert "stuck does not tell its metrics" in caplog.text


async def test_without_a_directory_a_process_tells_its_own() -> None:
    async with Expositions(own, None, "own").offered() as expositions:
        assert await expositions.text(Format.TEXT) == await own(Format.TEXT)
