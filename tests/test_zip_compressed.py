"""`bucketzip zip --compression`: into a bucket, a file and a pipe; and what a stopped one leaves behind."""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.command import begun, ran
from tests.faults import lies
from tests.faults.lying_s3 import LyingS3, gets
from tests.jobs.archiving import assert_holds, stored
from tests.test_zip_to_disk import STATE, Environment, environment_of

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
ZIP = ("zip", "s3://stub/in/", "a.zip", "--compression", "auto")


@pytest.fixture
async def stub() -> AsyncIterator[LyingS3]:
    async with LyingS3() as running:
        for name, content in CONTENTS.items():
            running.objects.put(f"in/{name}", content)
        yield running


@pytest.fixture
def on_stub(stub: LyingS3) -> Environment:
    return environment_of(stub)


async def test_into_a_file_and_a_pipe(on_stub: Environment, tmp_path: Path) -> None:
    into_file = await ran(on_stub, tmp_path, *ZIP, "--json")
    archive = (tmp_path / "a.zip").read_bytes()
    assert_holds(archive, CONTENTS)
    assert not list((tmp_path / STATE).iterdir())
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

    piped = await ran(on_stub, tmp_path, "zip", "s3://stub/in/", "-", "--compression", "auto")
    assert (piped.status, piped.said) == (0, "")
    assert piped.out == archive


async def test_into_a_bucket(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    done = await ran(
        on_stub, tmp_path, "zip", "s3://stub/in/", "s3://stub/out.zip", "--compression", "deflate", "--level", "1"
    )
    archive = stored(stub, "out.zip")
    assert_holds(archive, CONTENTS)
    assert done.status == 0
    assert f" {len(archive):,} bytes, {len(archive) / SOURCE_BYTES:.1%} of its content, in " in done.out.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_a_file_that_was_stopped_is_begun_anew(
    number: signal.Signals, stub: LyingS3, on_stub: Environment, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_text("mine")
    stub.on(gets("in/z.bin"), lies.stalled(0))
    part = tmp_path / "a.zip.part"
    async with begun(on_stub, tmp_path, *ZIP, "--if-exists", "replace") as running:
        while not (part.exists() and part.stat().st_size > MIB):
            assert running.process.returncode is None, await running.done()
            await asyncio.sleep(0.02)
        done = await running.ended_by(number)
    stub.stop_lying()
    assert (tmp_path / "a.zip").read_text() == "mine"
    if number == signal.SIGINT:
        stopped = "stopped: a compressed archive cannot go on where it stopped, so nothing of it is kept\n"
        assert done == (128 + number, b"", stopped)
        assert not part.exists()
        assert not list((tmp_path / STATE).iterdir())
    done = await ran(on_stub, tmp_path, *ZIP, "--if-exists", "replace")
    assert (done.status, done.said) == (
        0,
        f"{part.name}: a compressed archive cannot go on where it stopped, so it is begun anew\n"
        if number == signal.SIGKILL
        else "",
    )
    assert_holds((tmp_path / "a.zip").read_bytes(), CONTENTS)
    assert not part.exists()
    assert not list((tmp_path / STATE).iterdir())
