"""Downloads go on, and come in parts side by side, with clients that nobody here wrote: wget, aria2 and curl."""

import asyncio
import hashlib
import random
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from bucketzip.archive.manifest import Manifest
from bucketzip.state.manifests import Manifests
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, lists
from tests.faults.proxy import Cut, Fault, FaultProxy
from tests.readers.tree import tool
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20
SIZES = [100, 9 * MIB, 0, 3 * MIB, 70_000, 12 * MIB + 5, *[5000] * 60]  # two have descriptors; no CRC is known yet
CONNECTIONS = 8
TRIES = 30  # more than twice what the cuts need; a client that starts anew each time comes to no end with them
RUN_SECONDS = 150.0
WGET = ("wget", "--no-config", "--quiet", "--continue", "--waitretry=0")
ARIA2 = ("aria2c", "--no-conf", "-q", "-c", "-x8", "-s8", "-k1M", "--file-allocation=none", "--disk-cache=0")
ARIA2_UNFINISHED = 7
CURL = ("curl", "--disable", "--silent", "--fail")


class Download(NamedTuple):
    """A link, by way of a line that may cut, and the server behind it. Nothing of the archive has been read yet."""

    server: Server
    direct_url: str
    size: int
    line: FaultProxy
    directory: Path

    @property
    def url(self) -> str:
        return re.sub(r":\d+/", f":{self.line.port}/", self.direct_url)

    @property
    def file(self) -> Path:
        return self.directory / "archive.zip"

    @asynccontextmanager
    async def started(self, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A client that runs in the directory, at most until the end of the block."""
        process = await asyncio.create_subprocess_exec(tool(command[0]), *command[1:], cwd=self.directory)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def run(self, *command: str) -> int:
        """Run a client to its end; its exit status."""
        async with self.started(*command) as process:
            return await asyncio.wait_for(process.wait(), RUN_SECONDS)

    async def assert_whole(self, archive: bytes) -> None:
        """Compare what a client put together with what one connection gives at once."""
        whole = await self.server.fetch(self.direct_url)
        assert len(archive) == self.size
        assert hashlib.sha256(archive).hexdigest() == hashlib.sha256(whole).hexdigest()

    def statuses(self) -> list[int]:
        return [answer.status for answer in self.server.answers]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digest of each manifest that is opened, from servers that start after this."""
    digests: list[str] = []
    real_open = Manifests.open

    def open_and_note(self: Manifests, digest: str) -> Manifest:
        digests.append(digest)
        return real_open(self, digest)

    monkeypatch.setattr(Manifests, "open", open_and_note)
    return digests


@pytest.fixture
async def download(opened: list[str], stub: LyingS3, stub_server: Server, tmp_path: Path) -> AsyncIterator[Download]:
    async with linked(stub, stub_server, tmp_path) as made:
        yield made


@asynccontextmanager
async def linked(stub: LyingS3, server: Server, directory: Path) -> AsyncIterator[Download]:
    for number, size in enumerate(SIZES):
        stub.objects.put(f"{number:03}", Synthetic(size, number))
    _, answer = await server.ask("s3://stub/")
    server.answers.clear()
    async with FaultProxy("127.0.0.1", port_of(server)) as line:
        yield Download(server, answer["url"], answer["bytes"], line, directory)


def port_of(server: Server) -> int:
    return int(server.base.rpartition(":")[2])


@pytest.mark.parametrize(
    ("command", "by_itself"),
    [
        pytest.param([*WGET, f"--tries={TRIES}"], True, id="wget"),
        pytest.param([*WGET, "--tries=1"], False, id="wget run again and again"),
        pytest.param([*CURL, "--remote-name", "--continue-at", "-"], False, id="curl run again and again"),
    ],
)
async def test_it_goes_on_where_it_was_cut(command: list[str], by_itself: bool, download: Download) -> None:  # noqa: FBT001  -- a parameter
    dice = random.Random(1)
    download.line.choose = lambda _: Fault(dice.randrange(2 * MIB, 6 * MIB), dice.choice([Cut.RESET, Cut.FIN]))
    runs = 1
    while await download.run(*command, download.url):
        assert runs < TRIES
        runs += 1
    cuts = download.line.connections - 1
    assert cuts >= download.size // (6 * MIB)
    assert runs == (1 if by_itself else 1 + cuts)
    assert download.statuses() == [200, *[206] * cuts]
    assert download.line.bytes_down < download.size + 64 * 1024, "no byte of content came twice"
    await download.assert_whole(download.file.read_bytes())


async def test_wget_asked_for_what_it_has_leaves_it_alone(download: Download) -> None:
    for _ in range(2):
        assert await download.run(*WGET, download.url) == 0
    assert download.statuses() == [200, 416]
    await download.assert_whole(download.file.read_bytes())


@pytest.mark.parametrize("cut_after_bytes", [None, 2 * MIB])
async def test_aria2_side_by_side_costs_one_plan(
    cut_after_bytes: int | None, opened: list[str], stub: LyingS3, download: Download
) -> None:
    """However many connections there are: the bucket was listed once, and the plan stays open for all of them."""
    if cut_after_bytes:
        download.line.choose = lambda _: Fault(cut_after_bytes, Cut.RESET)
    opened.clear()
    assert await download.run(*ARIA2, f"--max-tries={TRIES}", "--retry-wait=0", download.url) == 0
    await download.assert_whole(download.file.read_bytes())
    assert download.line.connections >= (download.size // cut_after_bytes if cut_after_bytes else CONNECTIONS)
    assert sum(map(lists(), stub.requests)) == 1
    assert not opened


async def test_aria2_goes_on_after_the_server_was_restarted(
    opened: list[str], stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by Ctrl-C with eight connections open; its control file says what it has of which part."""
    environment = stub_environment(stub.endpoint_url)
    async with (
        serving(environment, tmp_path / "state", monkeypatch) as before,
        linked(stub, before, tmp_path) as download,
    ):
        download.line.choose = lambda _: Fault(MIB, Cut.STALL)
        async with download.started(*ARIA2, download.url) as process:
            while not download.file.exists() or download.file.stat().st_blocks * 512 < 7 * MIB:  # it has holes
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == ARIA2_UNFINISHED
    stub.requests.clear()
    opened.clear()
    async with serving(environment, tmp_path / "state", monkeypatch) as after:
        download = download._replace(server=after, direct_url=after.base + urlsplit(download.direct_url).path)
        assert await download.run(*ARIA2, download.direct_url) == 0
        had = bytearray(b"1" * download.size)
        for answer in after.answers:
            if answer.status == 206:  # these overlap: it takes over what is left of a slow neighbour's part
                first, last = map(int, answer.headers["Range"].removeprefix("bytes=").split("-"))
                had[first : last + 1] = bytes(last + 1 - first)
        assert had.count(b"1") > 6 * MIB
        await download.assert_whole(download.file.read_bytes())
        assert not any(map(lists(), stub.requests))
        assert len(opened) == 1


@pytest.mark.parametrize("side_by_side", [True, False])
async def test_curl_puts_ranges_together(side_by_side: bool, download: Download) -> None:  # noqa: FBT001  -- a parameter
    """Asked for in any order, the last as "the last so many bytes"; eight connections, or one for all of them."""
    dice = random.Random(2)
    places = sorted({0, download.size, *(dice.randrange(download.size) for _ in range(CONNECTIONS - 1))})
    ranges = [f"{start}-{stop - 1}" for start, stop in pairwise(places)]
    ranges[-1] = f"-{places[-1] - places[-2]}"
    parts = [["--range", wanted, "--output", f"{number}", download.url] for number, wanted in enumerate(ranges)]
    dice.shuffle(parts)
    command = [*CURL, "--parallel", "--parallel-immediate"] if side_by_side else [*CURL]
    for part in parts:
        command += [*part, "--next", *CURL[2:]]
    assert await download.run(*command[: -len(CURL[1:])]) == 0
    assert download.statuses() == [206] * CONNECTIONS
    assert download.line.connections == (CONNECTIONS if side_by_side else 1)
    await download.assert_whole(b"".join((download.directory / f"{each}").read_bytes() for each in range(CONNECTIONS)))
