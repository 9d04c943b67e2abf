"""A server that is killed at the worst moments and started again: each of its jobs comes to the right end, once.

After a kill the receipts are read from the file, and no part that has one is sent again. `make chaos` does it hundreds
of times.
"""

import asyncio
import os
import random
import resource
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.command import Serving, serving
from tests.faults.asked import Asked
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import LyingS3, Predicate, anything, does
from tests.jobs.archiving import (
    MIB,
    Client,
    Moment,
    Told,
    assert_holds,
    away,
    fill,
    receipted,
    sends,
    stored,
    times_sent,
)
from tests.web.serving import stub_environment

SEEDS = int(os.environ.get("SEEDS", "6"))
AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "0"))
"""How long S3 is, in real time: a minute in `make chaos`. `test_job_ends.py` has the same with shorter pauses."""
FULL_SECONDS = 0.5
BATCH = 3
"""A test has 60 s."""
KEY = "out/{}.zip"
SIZES = {
    **{f"{number}.bin": (10 * MIB) + 100_000 * number for number in range(5)},
    **{f"small/{number}": 5000 * number for number in range(30)},
}


class Machine:
    """`bucketzip serve` on a state directory that outlives it, and what its jobs have to come to."""

    def __init__(self, stub: LyingS3, directory: Path, compression: str = "store") -> None:
        self.stub = stub
        self.state = directory / "state"
        self._compression = compression
        self._directory = directory
        self._contents = fill(stub, SIZES)
        self._archive: bytes | None = None

    @asynccontextmanager
    async def started(self, directory: Path | None = None) -> AsyncIterator[tuple[Serving, Client]]:
        """Start it; in another directory where it runs already."""
        environment = stub_environment(self.stub.endpoint_url)
        with serving(environment, directory or self._directory, *self._arguments()) as server:
            base = await asyncio.to_thread(lambda: server.base)
            async with aiohttp.ClientSession() as http:
                yield server, Client(http, base)

    def _arguments(self) -> tuple[str, ...]:
        return "--state-dir", str(self.state), "--compressed-part-bytes", str(5 * MIB)

    async def begin(self, client: Client, name: object) -> str:
        return await client.begin(destination=f"s3://stub/{KEY.format(name)}", compression=self._compression)

    async def come_to_its_end(self, client: Client, name: object, job_id: str | None) -> None:
        """The job, if there was one, succeeds; and nothing is sent that has a receipt now.

        The archive of that name is there then, was made once, and has the same bytes as all others.
        """
        if job_id is None:
            return
        key = KEY.format(name)
        had, before = receipted(self.state), times_sent(self.stub, key)
        job = await client.until(job_id)
        assert job["state"] == "succeeded", job
        assert {part for part, times in times_sent(self.stub, key).items() if times > before[part]}.isdisjoint(had)

        ((_, versions),) = self.stub.objects.versions(key, key)
        assert len(versions) == 1
        archive = stored(self.stub, key)
        if self._archive is None:
            assert job["result"]["parts"] >= 10
            assert_holds(archive, self._contents)
            self._archive = archive
        assert archive == self._archive


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with LyingS3(versioned=True) as stub:
        yield Machine(stub, tmp_path)


@pytest.fixture
async def compressing(tmp_path: Path) -> AsyncIterator[Machine]:
    async with LyingS3(versioned=True) as stub:
        yield Machine(stub, tmp_path, "auto")


Window = tuple[Callable[[str], Predicate], bool, int]

WINDOWS: dict[str, Window] = {
    "the sources are being listed": (lambda _: does("ListObjectVersions"), True, 0),
    "the upload is begun, and its id not kept": (lambda key: does("CreateMultipartUpload", key), True, 0),
    "a part is copied, and has no receipt": (lambda key: does("UploadPartCopy", key), True, 3),
    "a part is built, and has no receipt": (lambda key: does("UploadPart", key), True, 2),
    "the parts are being compared": (lambda key: does("ListParts", key), True, 0),
    "the archive is about to be completed": (lambda key: does("CompleteMultipartUpload", key), False, 0),
    "it is completed, and the state does not tell": (lambda key: does("CompleteMultipartUpload", key), True, 0),
}
"""When it is killed: at which request, whether S3 did that, and after how many such."""


@pytest.mark.parametrize(
    "windows", [list(WINDOWS)[:4], list(WINDOWS)[4:]], ids=["until all parts are there", "from then on"]
)
async def test_killed_in_every_window(machine: Machine, windows: list[str]) -> None:
    await _killed_in(windows, machine)


async def test_of_a_compressed_archive_too(compressing: Machine) -> None:
    await _killed_in([list(WINDOWS)[3], list(WINDOWS)[3], list(WINDOWS)[6]], compressing)


async def _killed_in(windows: list[str], machine: Machine) -> None:
    """One after the other, with what the last one left behind."""
    stub, job_id = machine.stub, None
    others = []
    for number, window in enumerate(windows):
        async with machine.started() as (server, client):
            await machine.come_to_its_end(client, number - 1, job_id)
            others.append(stub.begin_upload(KEY.format(number)))
            others[-1].initiated = datetime.now(UTC) - timedelta(minutes=5)
            applies, done, skip = WINDOWS[window]
            moment = Moment(stub, applies(KEY.format(number)), done=done, skip=skip)
            job_id = await machine.begin(client, number)
            await moment.come()
            server.process.kill()
            await server.ended(120)
        stub.stop_lying()
    async with machine.started() as (_, client):
        await machine.come_to_its_end(client, len(windows) - 1, job_id)
    assert stub.uploads_left == others, "those of somebody else, and no other"


@pytest.mark.parametrize("done", [False, True])
async def test_killed_while_a_cancelled_job_is_undone(machine: Machine, *, done: bool) -> None:
    stub, key = machine.stub, KEY.format("cancelled")
    async with machine.started() as (server, client):
        sending = Moment(stub, sends(key), skip=3)
        aborting = Moment(stub, does("AbortMultipartUpload", key), done=done)
        job_id = await machine.begin(client, "cancelled")
        await sending.come()
        await client.cancel(job_id)
        await aborting.come()
        server.process.kill()
        await server.ended(120)
    stub.stop_lying()
    before = times_sent(stub, key)
    async with machine.started() as (_, client):
        assert (await client.until(job_id))["state"] == "cancelled"
    assert stub.uploads_left == []
    assert stub.objects.find(key, None) is None
    assert times_sent(stub, key) == before


async def test_sigterm_ends_it_soon_and_it_goes_on_later(machine: Machine) -> None:
    stub = machine.stub
    async with machine.started() as (server, client):
        moment = Moment(stub, sends(KEY.format("later")), skip=5)
        job_id = await machine.begin(client, "later")
        await moment.come()
        server.process.terminate()
        assert await server.ended(120) == 0
    stub.stop_lying()
    async with machine.started() as (_, client):
        await machine.come_to_its_end(client, "later", job_id)
    assert stub.uploads_left == []


async def test_another_process_of_the_machine_takes_over(machine: Machine, tmp_path: Path) -> None:
    """While the first one lives, it runs the job that the other one accepted."""
    stub = machine.stub
    (tmp_path / "second").mkdir()
    async with machine.started() as (first, _), machine.started(tmp_path / "second") as (_, client):
        moment = Moment(stub, sends(KEY.format("handed over")), skip=3)
        job_id = await machine.begin(client, "handed over")
        await moment.come()
        stub.stop_lying()
        first.process.kill()
        await first.ended(120)
        await machine.come_to_its_end(client, "handed over", job_id)
    assert stub.uploads_left == []


async def test_a_disk_that_is_full_for_a_while_only_delays_it(machine: Machine) -> None:
    """By a limit of the kernel's on a process that runs, which any user may set: no file takes a byte any more."""
    stub, key = machine.stub, KEY.format("full")
    full = asyncio.Event()
    async with machine.started() as (server, client):
        pid = server.process.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)

        def fill_up(asked: Asked, honest: Reply) -> Reply:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
            full.set()
            return honest

        stub.on(sends(key), fill_up, skip=3, times=1)
        job_id = await machine.begin(client, "full")
        await full.wait()
        await asyncio.sleep(FULL_SECONDS)  # what was half way is there then, or is not
        had = receipted(machine.state)
        await asyncio.sleep(FULL_SECONDS)
        assert receipted(machine.state) == had, "nothing could be written down"
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        await machine.come_to_its_end(client, "full", job_id)
    assert set(times_sent(stub, key).values()) == {1}, "what was sent is not sent again for want of room"
    assert stub.uploads_left == []


if AWAY_SECONDS:

    @pytest.mark.timeout(180 + AWAY_SECONDS)
    async def test_s3_is_away_for_so_long(machine: Machine) -> None:
        """The job waits, and goes on where it stood."""
        stub, key = machine.stub, KEY.format("away")
        gone = asyncio.Event()

        def go(asked: Asked, honest: Reply) -> Reply:
            gone.set()
            return away()(asked, honest)

        async with machine.started() as (_, client):
            stub.on(lambda _: sum(map(sends(key), stub.requests)) > 5, go)
            job_id = await machine.begin(client, "away")
            await gone.wait()
            await asyncio.sleep(AWAY_SECONDS)
            stub.stop_lying()
            await machine.come_to_its_end(client, "away", job_id)
        assert stub.uploads_left == []


async def _some_moment(stub: LyingS3, dice: random.Random, end: Coroutine[None, None, Told]) -> None:
    """When S3 was asked so many times, or after some time; or when all is over."""
    if dice.random() < 0.7:
        some = Moment(stub, anything, done=dice.random() < 0.5, skip=dice.randrange(60)).come()
    else:
        some = asyncio.sleep(dice.uniform(0, 1.5))
    tasks = [asyncio.ensure_future(some), asyncio.ensure_future(end)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("first_seed", range(0, SEEDS, BATCH))
async def test_killed_at_random(machine: Machine, first_seed: int) -> None:
    await _killed_at_random(machine, range(first_seed, min(first_seed + BATCH, SEEDS)))


@pytest.mark.parametrize("first_seed", range(0, max(1, SEEDS // 3), BATCH))
async def test_killed_at_random_while_it_compresses(compressing: Machine, first_seed: int) -> None:
    await _killed_at_random(compressing, range(first_seed, min(first_seed + BATCH, max(1, SEEDS // 3))))


async def _killed_at_random(machine: Machine, seeds: range) -> None:
    """A job a seed; the server that ends one begins the next, and does not live to its end."""
    stub, job_id = machine.stub, None
    for seed in seeds:
        async with machine.started() as (server, client):
            await machine.come_to_its_end(client, seed - 1, job_id)
            job_id = await machine.begin(client, seed)
            await _some_moment(stub, random.Random(seed), client.until(job_id))
            server.process.kill()
            await server.ended(120)
        stub.stop_lying()
    async with machine.started() as (_, client):
        await machine.come_to_its_end(client, seeds[-1], job_id)
    assert stub.uploads_left == []
