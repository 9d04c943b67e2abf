"""`make demo` does what it says, and leaves nothing behind however it ends."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bucketzip.demo import planned
from tests.faults import lies
from tests.faults.lying_s3 import LyingS3, lists
from tests.web.serving import serving, stub_environment

pytestmark = pytest.mark.timeout(180)  # it starts three programs, and uploads hundreds of files

FACTS = (
    "S3 server",
    "bucket",
    "bucketzip",
    "token",
    "link",
    "planned",
    "downloaded",
    "checked",
    "S3 requests",
    "server used",
    "done",
)


class Demo:
    """A demo under way. All that it makes is in `work`, and has that in its command line."""

    def __init__(self, process: subprocess.Popen[bytes], work: Path, printed: Path) -> None:
        self.process = process
        self._work = work
        self._printed = printed

    @property
    def said(self) -> str:
        return self._printed.read_text()

    def fact(self, name: str) -> str | None:
        """What it said about one thing, if it did so far."""
        found = re.search(rf"^ *{name}  (.+)$", self.said, re.MULTILINE)
        return found[1] if found else None

    def wait_for(self, condition: Callable[[], object], seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.01)

    def children(self) -> list[str]:
        """Command lines of what it started and still runs."""
        found = []
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self._work) in line:
                found.append(line)
        return found

    def uploads(self) -> bool:
        """Whether the S3 server has content."""
        return any(path.stat().st_size > 1 << 18 for path in self._work.glob("*/s3/**/*.dat"))

    def assert_gone(self) -> None:
        assert not self.children()
        assert not list(self._work.iterdir())


@contextmanager
def demo(tmp_path: Path, *options: str, variables: Mapping[str, str] | None = None) -> Iterator[Demo]:
    work, printed = tmp_path / "work", tmp_path / "printed"
    work.mkdir()
    with printed.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "bucketzip.demo", "--small", *options],
            env={**os.environ, "TMPDIR": str(work), **(variables or {})},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield Demo(process, work, printed)
    finally:
        process.kill()
        process.wait()


def test_it_shows_the_main_job_whatever_the_environment(tmp_path: Path) -> None:
    theirs = {
        "AWS_PROFILE": "theirs",
        "AWS_ENDPOINT_URL_S3": "http://192.0.2.1",
        "BUCKETZIP_PUBLIC_URL": "https://zip.example.com",
        "http_proxy": "http://192.0.2.1:3128",
    }
    with demo(tmp_path, variables=theirs) as running:
        assert running.process.wait(150) == 0, running.said
        for name in FACTS:
            assert running.fact(name), running.said
        assert re.search(r"with [\d,]+ real files and objects, [\d,]+ MiB, in ", running.fact("bucket") or "")
        assert re.search(r"^[\d,]+ entries, [\d,]+ bytes", running.fact("planned") or "")
        assert re.search(r"all [\d,]+ entries have their right CRC$", running.fact("checked") or "")
        assert len(running.said.splitlines()) <= 12
        running.assert_gone()


@pytest.mark.parametrize("end", ["ready", "failed"])
async def test_a_plan_that_takes_long_is_waited_for(
    end: str, stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk S3 takes longer to copy the large objects than an answer waits."""
    stub.objects.put("a", b"1")
    stub.on(lists(), lies.slow_first_byte(0.3) if end == "ready" else lies.access_denied())
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch, planning_wait_seconds=0) as server:
        _, link = await server.ask("s3://stub/")
        assert link["state"] == "planning"
        waiting = asyncio.to_thread(planned, link, server.base, {})
        if end == "ready":
            assert (await waiting)["entries"] == 1
        else:
            with pytest.raises(SystemExit, match=r"demo: the archive could not be planned: .*AccessDenied"):
                await waiting


@pytest.mark.parametrize("moment", ["while the server starts", "while it uploads", "while it downloads"])
def test_ctrl_c_leaves_nothing(moment: str, tmp_path: Path) -> None:
    """A terminal sends the signal to the whole group: to curl and unzip as well."""
    with demo(tmp_path) as running:
        if moment == "while it downloads":
            running.wait_for(lambda: running.fact("planned"))
        else:
            running.wait_for(running.uploads if moment == "while it uploads" else running.children)
            assert not running.fact("bucket")
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.process.wait(120) == 128 + signal.SIGINT
        assert running.said.endswith("\nstopped\n")
        assert "Traceback" not in running.said
        running.assert_gone()


def test_it_can_be_kept_and_tried(tmp_path: Path) -> None:
    with demo(tmp_path, "--keep") as running:
        running.wait_for(lambda: "Ctrl-C stops everything." in running.said)
        commands = [line.strip() for line in running.said.splitlines() if line.startswith("  curl ")]
        assert len(commands) == 4
        tried = [
            subprocess.run(
                ["/bin/sh", "-c", command.replace("curl ", "curl -sS --fail ", 1)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
            for command in commands
        ]
        with zipfile.ZipFile(tmp_path / "handover.zip") as opened:
            assert len(opened.infolist()) > 50
        assert '"state": "ready"' in tried[1]
        assert "bucketzip_downloads_total" in tried[2]
        assert tried[3] == '{"status": "ready"}'
        assert re.search(r"^  export AWS_ENDPOINT_URL_S3=http://127\.0\.0\.1:\d+$", running.said, re.MULTILINE)
        assert len(running.children()) == 2
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(120) == 128 + signal.SIGINT
        running.assert_gone()
