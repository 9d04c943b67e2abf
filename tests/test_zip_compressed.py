"""`bucketzip zip --compression`: into a bucket, a file and a pipe; and how a file goes on that was stopped."""

import asyncio
import errno
import json
import os
import random
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketzip.archive.deflate import BLOCK_BYTES
from bucketzip.local.saving import SYNC_SECONDS
from bucketzip.settings import LEAST_MEMORY_BYTES
from tests.command import begun, installed, ran
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import LyingS3, gets
from tests.jobs.archiving import assert_holds, stored
from tests.readers.readers import unzipped
from tests.test_zip_to_disk import STATE, Environment, environment_of, first_byte

SEEDS = max(1, int(os.environ.get("SEEDS", "6")) // 3)
"""As in `tests/jobs/test_chaos.py`, for `make chaos`."""
KILLS = 3
MOST_SECONDS = 1.5 * SYNC_SECONDS
MIB = 1 << 20
TEXT = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(40_000))
CONTENTS = {
    "a.txt": TEXT,
    "b.bin": random.Random(1).randbytes(2 * MIB),
    "empty": b"",
    "small.txt": b"small",
    "z.bin": random.Random(2).randbytes(MIB),
}
SOURCE_BYTES = sum(map(len, CONTENTS.values()))
LARGE = [name for name, content in CONTENTS.items() if len(content) > BLOCK_BYTES]
ZIP = ("zip", "s3://stub/in/", "a.zip", "--compression", "auto", "--if-exists", "replace")


def new_stub() -> LyingS3:
    stub = LyingS3()
    for name, content in CONTENTS.items():
        stub.objects.put(f"in/{name}", content)
    return stub


@pytest.fixture
async def stub() -> AsyncIterator[LyingS3]:
    async with new_stub() as running:
        yield running


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The archive when nothing goes wrong; it is always the same."""

    async def made() -> bytes:
        async with new_stub() as stub:
            arguments = ("zip", "s3://stub/in/", "-", "--compression", "auto")
            done = await ran(environment_of(stub), tmp_path_factory.mktemp("whole"), *arguments)
            assert (done.status, done.said) == (0, "")
            return done.out

    return asyncio.run(made())


@pytest.fixture
def on_stub(stub: LyingS3) -> Environment:
    return environment_of(stub)


class Stall:
    """Of an object no more than so many bytes come."""

    def __init__(self, stub: LyingS3, name: str, at: int) -> None:
        self.come = False
        self._at = at
        stub.on(gets(f"in/{name}"), self._stall)

    def _stall(self, asked: Asked, honest: Reply) -> Reply:
        if honest.stop <= self._at:
            return honest
        self.come = True
        return lies.stalled(max(0, self._at - honest.start))(asked, honest)


def noted(work: Path) -> int:
    """How many bytes of the file are safe."""
    note = work / "a.zip.part.json"
    lines = note.read_bytes().splitlines(keepends=True) if note.exists() else []
    return max((int(json.loads(line)["bytes"]) for line in lines if line.endswith(b"\n")), default=0)


def assert_made(work: Path, whole: bytes) -> None:
    assert (work / "a.zip").read_bytes() == whole
    assert not list(work.glob("a.zip.part*"))
    assert not list((work / STATE).iterdir()), "nothing is left to go on with"


async def test_into_a_file_and_a_pipe(on_stub: Environment, tmp_path: Path, whole: bytes) -> None:
    into_file = await ran(on_stub, tmp_path, *ZIP, "--json")
    archive = (tmp_path / "a.zip").read_bytes()
    assert_holds(archive, CONTENTS)
    assert len(unzipped(tmp_path / "a.zip")) == len(CONTENTS)
    assert_made(tmp_path, whole)
    told = json.loads(into_file.out)
    ratio = round(len(archive) / SOURCE_BYTES, 4)
    assert 0 < told.pop("seconds") < 60
    assert told == {
        "destination": "a.zip",
        "etag": None,
        "bytes": len(archive),
        "entries": len(CONTENTS),
        "from_byte": 0,
        "compression": "auto",
        "level": 3,
        "source_bytes": SOURCE_BYTES,
        "ratio": ratio,
        "state": "succeeded",
    }


async def test_into_a_bucket(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    done = await ran(
        on_stub, tmp_path, "zip", "s3://stub/in/", "s3://stub/out.zip", "--compression", "deflate", "--level", "1"
    )
    archive = stored(stub, "out.zip")
    assert_holds(archive, CONTENTS)
    assert done.status == 0
    assert f" {len(archive):,} bytes, {len(archive) / SOURCE_BYTES:.1%} of its content, in " in done.out.decode()


async def stopped(stub: LyingS3, environment: Environment, work: Path, number: signal.Signals) -> tuple[int, str]:
    """Begin, and stop when S3 does within b.bin; returns how much is safe, and what was said.

    What a thread has compressed goes out when more content comes. With one thread, by the share of one of many
    processes, that is little.
    """
    Stall(stub, "b.bin", MIB + 100_000)
    alone = {"BUCKETZIP_PROCESSES": "256", "BUCKETZIP_MEMORY_BYTES": str(256 * LEAST_MEMORY_BYTES)}
    async with begun({**environment, **alone}, work, *ZIP) as running:
        while noted(work) < BLOCK_BYTES:  # all of a.txt, and some of b.bin
            assert running.process.returncode is None, await running.done()
            await asyncio.sleep(0.02)
        done = await running.ended_by(number)
    stub.stop_lying()
    stub.requests.clear()
    return noted(work), done.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_a_file_goes_on_where_it_was_stopped(
    number: signal.Signals, stub: LyingS3, on_stub: Environment, tmp_path: Path, whole: bytes
) -> None:
    (tmp_path / "a.zip").write_text("mine")
    safe, said = await stopped(stub, on_stub, tmp_path, number)
    stop = "stopped: the same command goes on from there (--discard throws it away)\n"
    assert said == ("" if number == signal.SIGKILL else stop)
    assert (tmp_path / "a.zip").read_text() == "mine"
    done = await ran(on_stub, tmp_path, *ZIP, "--json")
    assert json.loads(done.out)["from_byte"] == safe
    assert_made(tmp_path, whole)
    name, start = min((asked.key, first_byte(asked)) for asked in stub.requests if asked.operation == "GetObject")
    assert (name, start % BLOCK_BYTES) == ("in/b.bin", 0)
    assert 0 < start <= MIB
    content = len(CONTENTS["a.txt"]) + start
    assert done.said == f"going on after {safe:,} bytes, which hold {content:,} of {SOURCE_BYTES:,}\n"


async def test_one_that_is_whole_but_has_no_name_reads_nothing_more(
    stub: LyingS3, on_stub: Environment, tmp_path: Path, whole: bytes
) -> None:
    """Its name was taken meanwhile; a crash in that moment leaves the same."""
    Stall(stub, "z.bin", 0)
    arguments = (*ZIP[:-2], "--json")
    async with begun({**on_stub, "BUCKETZIP_S3_STALL_SECONDS": "1"}, tmp_path, *arguments) as running:
        while not (tmp_path / "a.zip.part").exists():
            assert running.process.returncode is None, await running.done()
            await asyncio.sleep(0.02)
        (tmp_path / "a.zip").write_text("mine")
        stub.stop_lying()
        done = await running.done()
    assert (done.status, done.said) == (1, "bucketzip: a.zip: File exists\n")
    assert noted(tmp_path) == len(whole)
    (tmp_path / "a.zip").unlink()
    stub.requests.clear()
    done = await ran(on_stub, tmp_path, *arguments)
    assert json.loads(done.out)["from_byte"] == len(whole)
    assert not stub.counts["GetObject"]
    assert_made(tmp_path, whole)


async def test_of_other_objects_it_is_begun_anew(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    await stopped(stub, on_stub, tmp_path, signal.SIGKILL)
    stub.objects.put("in/a.txt", TEXT[5:])
    done = await ran(on_stub, tmp_path, *ZIP)
    assert (done.status, done.said) == (0, "a.zip.part: it is of an archive of other content, so it is begun anew\n")
    archive = (tmp_path / "a.zip").read_bytes()
    assert_holds(archive, {**CONTENTS, "a.txt": TEXT[5:]})
    assert_made(tmp_path, archive)


async def test_at_another_level_it_is_begun_anew(
    stub: LyingS3, on_stub: Environment, tmp_path: Path, whole: bytes
) -> None:
    await stopped(stub, on_stub, tmp_path, signal.SIGKILL)
    done = await ran(on_stub, tmp_path, *ZIP, "--level", "6")
    assert (done.status, done.said) == (
        0,
        "a.zip.part: it is of an archive made otherwise (auto 3), so it is begun anew\n",
    )
    archive = (tmp_path / "a.zip").read_bytes()
    assert_holds(archive, CONTENTS)
    assert len(archive) < len(whole)
    assert_made(tmp_path, archive)


async def test_a_full_disk_keeps_what_is_safe(on_stub: Environment, tmp_path: Path, whole: bytes) -> None:
    """A limit for files stands for the disk: of what goes beyond it only some is written."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, 2 * MIB))

    done = await installed(on_stub, tmp_path, *ZIP, preexec_fn=limit)
    assert done == (1, b"", f"bucketzip: a.zip.part: {os.strerror(errno.EFBIG)}\n")
    safe = noted(tmp_path)
    assert safe < (tmp_path / "a.zip.part").stat().st_size == 2 * MIB
    done = await ran(on_stub, tmp_path, *ZIP, "--json")
    assert json.loads(done.out)["from_byte"] == safe
    assert_made(tmp_path, whole)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_killed_at_random(seed: int, stub: LyingS3, on_stub: Environment, tmp_path: Path, whole: bytes) -> None:
    dice = random.Random(seed)
    for _ in range(KILLS):
        name = dice.choice(LARGE)
        moment = Stall(stub, name, dice.randrange(len(CONTENTS[name])))
        async with begun(on_stub, tmp_path, *ZIP) as running:
            # It may be behind that object already, and come to its end.
            while running.process.returncode is None and not moment.come:
                await asyncio.sleep(0.02)
            await asyncio.sleep(dice.uniform(0, MOST_SECONDS))
            await running.ended_by(signal.SIGKILL)
        stub.stop_lying()
    done = await ran(on_stub, tmp_path, *ZIP)
    assert done.status == 0
    assert_made(tmp_path, whole)
