"""`bucketzip zip` into a file and into a pipe, as a process: whole, and after it was stopped in every way."""

import asyncio
import errno
import hashlib
import io
import json
import os
import pty
import resource
import shutil
import signal
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketzip.commands.zip_saved import Saved
from bucketzip.embedded import EmbeddedS3
from bucketzip.local.part_file import discard
from tests.bucket import Bucket
from tests.command import Done, Running, begun, installed, ran
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, does, gets
from tests.web.serving import stub_environment

MIB = 1 << 20
SIZES = {"a": 9 * MIB + 3, "b": MIB, "c": 0, "d": 70_000, "e": 14 * MIB + 1, "f": 100}
"""Of "a" and "e" the CRC-32 is known only once they have passed."""
CUT = 6 * MIB
"""Where the content of "e" stops to come: behind 16 MiB of the archive."""
STATE = Path("state/bucketzip/zip")

Environment = dict[str, str]


def new_stub() -> LyingS3:
    return LyingS3({key: Synthetic(size, number) for number, (key, size) in enumerate(SIZES.items())})


@pytest.fixture
async def stub() -> AsyncIterator[LyingS3]:
    async with new_stub() as running:
        yield running


@pytest.fixture
def on_stub(stub: LyingS3) -> Environment:
    return environment_of(stub)


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the archive when nothing goes wrong; it is always the same."""

    async def made() -> str:
        async with new_stub() as stub:
            work = tmp_path_factory.mktemp("whole")
            done = await ran(environment_of(stub), work, "zip", "s3://stub/", "-")
            assert done.status == 0, done
            return hashlib.sha256(done.out).hexdigest()

    return asyncio.run(made())


def environment_of(stub: LyingS3) -> Environment:
    return {
        **stub_environment(stub.endpoint_url),
        "BUCKETZIP_SCRATCH": "off",
        "BUCKETZIP_S3_STALL_SECONDS": "600",
        "BUCKETZIP_S3_HEDGING": "0",
    }


def first_byte(asked: Asked) -> int:
    return int(asked.headers["Range"].removeprefix("bytes=").partition("-")[0])


def stop_in_the_middle(stub: LyingS3) -> None:
    """What lies behind CUT does not come until `stop_lying`."""
    stub.on(lambda asked: gets("e")(asked) and first_byte(asked) >= CUT, lies.stalled(0))


async def part_is_there(running: Running, work: Path, least_bytes: int = 15 * MIB) -> int:
    """Wait until so much is safe on the disk; returns how much that is."""
    note = work / "a.zip.part.json"
    while True:
        if note.exists() and (told := note.read_text()) and (safe := int(json.loads(told)["bytes"])) >= least_bytes:
            return safe
        assert running.process.returncode is None, await running.done()
        await asyncio.sleep(0.02)


def has_begun(work: Path) -> bool:
    return any(work.glob("a.zip*"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_whole(work: Path, digest: str) -> None:
    assert sha256(work / "a.zip") == digest
    assert not list(work.glob("a.zip.part*"))
    assert not list((work / STATE).iterdir()), "nothing is left to go on with"


async def test_into_a_file(s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path) -> None:
    contents = {"x/1.txt": b"one", "x/2.jpg": os.urandom(9 * MIB), "drafts/3.txt": b"three", "x/4.txt": b"four"}
    await bucket.put_many({f"in/{name}": data for name, data in contents.items()})
    done = await ran(
        s3_server.environment(),
        tmp_path,
        *("zip", bucket.url("in/"), "a.zip", "--include", "*.txt", "--exclude", "drafts/", "--root", "top"),
    )
    assert (done.status, done.said) == (0, "")
    size = (tmp_path / "a.zip").stat().st_size
    assert done.out.decode().startswith(f"a.zip: 2 entries, {size:,} bytes, in ")
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == {
            "top/x/1.txt": b"one",
            "top/x/4.txt": b"four",
        }
    assert not list((tmp_path / STATE).iterdir())


async def test_json_is_all_that_stands_on_standard_output(on_stub: Environment, tmp_path: Path) -> None:
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/b", "s3://stub/d", "a.zip", "--json", "--flatten")
    assert done.status == 0
    told = json.loads(done.out)
    seconds = told.pop("seconds")
    assert 0 < seconds < 60
    assert len(told.pop("etag")) == 66
    size = (tmp_path / "a.zip").stat().st_size
    source_bytes = SIZES["b"] + SIZES["d"]
    assert told == {
        "destination": "a.zip",
        "bytes": size,
        "entries": 2,
        "from_byte": 0,
        "compression": "store",
        "level": None,
        "source_bytes": source_bytes,
        "ratio": round(size / source_bytes, 4),
        "state": "succeeded",
    }


@pytest.mark.parametrize(("size", "told"), [(888, ""), (60 * MIB, " (30 MiB/s)")])
def test_a_pace_that_says_nothing_is_not_told(size: int, told: str) -> None:
    saved = Saved("a.zip", None, size, 1, 0, "store", None, size, 1.0, 2.0)
    assert str(saved) == f"a.zip: 1 entry, {size:,} bytes, in 2.0 s{told}"


async def test_what_is_missing_is_said(on_stub: Environment, tmp_path: Path) -> None:
    arguments = ("zip", "s3://stub/b", "s3://stub/none", "a.zip")
    done = await ran(on_stub, tmp_path, *arguments)
    assert (done.status, done.out) == (1, b"")
    assert done.said.startswith("bucketzip: there is no object and no folder s3://stub/none")
    assert not list((tmp_path / STATE).iterdir()), "there is nothing to go on with"
    done = await ran(on_stub, tmp_path, *arguments, "--json")
    assert done.status == 1
    told = json.loads(done.out)
    assert (told["state"], told["error"]["code"]) == ("failed", "no_such_object")
    done = await ran(on_stub, tmp_path, *arguments, "--on-missing", "skip")
    assert (done.status, done.said) == (0, "1 missing, which MISSING.txt in the archive tells\n")
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert opened.namelist() == ["b", "MISSING.txt"]


async def test_what_is_there_is_replaced_only_if_asked(on_stub: Environment, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("mine")
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/b", "a.zip")
    assert (done.status, done.said) == (1, "bucketzip: a.zip is there already; name another, or --if-exists replace\n")
    assert (tmp_path / "a.zip").read_text() == "mine"
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/b", "a.zip", "--if-exists", "replace")
    assert done.status == 0
    assert zipfile.is_zipfile(tmp_path / "a.zip")


@pytest.mark.parametrize("state_lost", [False, True])
async def test_after_a_kill_it_goes_on_and_reads_nothing_twice(
    state_lost: bool,  # noqa: FBT001  -- a parameter of the test
    stub: LyingS3,
    on_stub: Environment,
    tmp_path: Path,
    digest: str,
) -> None:
    stop_in_the_middle(stub)
    async with begun(on_stub, tmp_path, "zip", "s3://stub/", "a.zip") as running:
        safe = await part_is_there(running, tmp_path)
        await running.ended_by(signal.SIGKILL)
    stub.stop_lying()
    stub.requests.clear()
    if state_lost:  # the CRCs of what is there are computed from the file then
        shutil.rmtree(tmp_path / STATE)
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip", "--json")
    assert (done.status, done.said) == (
        0,
        f"going on after {safe:,} of {(tmp_path / 'a.zip').stat().st_size:,} bytes\n",
    )
    assert json.loads(done.out)["from_byte"] == safe
    reads = [asked for asked in stub.requests if asked.operation == "GetObject"]
    assert {asked.key for asked in reads} == {"e", "f"}
    before = safe - sum(SIZES[key] for key in "abd")  # of "e", and the records before it
    assert before - 2000 < min(first_byte(asked) for asked in reads if asked.key == "e") < before
    assert_whole(tmp_path, digest)


async def test_what_came_after_the_last_sync_is_not_trusted(
    stub: LyingS3, on_stub: Environment, tmp_path: Path, digest: str
) -> None:
    """After a loss of power a file may be as long as it should be, and hold something else."""
    stop_in_the_middle(stub)
    async with begun(on_stub, tmp_path, "zip", "s3://stub/", "a.zip") as running:
        safe = await part_is_there(running, tmp_path)
        await running.ended_by(signal.SIGKILL)
    stub.stop_lying()
    with (tmp_path / "a.zip.part").open("r+b") as file:
        file.truncate(safe)
        file.seek(safe)
        file.write(bytes(5 * MIB))
    assert (await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip")).status == 0
    assert_whole(tmp_path, digest)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_stopped_by_a_signal_it_keeps_all_that_came(
    number: signal.Signals, stub: LyingS3, on_stub: Environment, tmp_path: Path, digest: str
) -> None:
    stop_in_the_middle(stub)
    async with begun(on_stub, tmp_path, "zip", "s3://stub/", "a.zip") as running:
        await part_is_there(running, tmp_path)
        done = await running.ended_by(number)
    assert done == (128 + number, b"", "stopped: the same command goes on from there (--discard throws it away)\n")
    length = (tmp_path / "a.zip.part").stat().st_size
    assert json.loads((tmp_path / "a.zip.part.json").read_text())["bytes"] == length
    stub.stop_lying()
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip", "--json")
    assert json.loads(done.out)["from_byte"] == length
    assert_whole(tmp_path, digest)


async def stopped(stub: LyingS3, environment: Environment, work: Path) -> None:
    stop_in_the_middle(stub)
    async with begun(environment, work, "zip", "s3://stub/", "a.zip") as running:
        await part_is_there(running, work)
        await running.ended_by(signal.SIGINT)
    stub.stop_lying()


async def test_of_other_objects_it_is_begun_anew_and_says_so(
    stub: LyingS3, on_stub: Environment, tmp_path: Path
) -> None:
    await stopped(stub, on_stub, tmp_path)
    stub.objects.put("a", Synthetic(MIB, seed=9))
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip")
    assert (done.status, done.said) == (0, "a.zip.part: it is of an archive of other content, so it is begun anew\n")
    whole = await ran(on_stub, tmp_path, "zip", "s3://stub/", "-")
    assert_whole(tmp_path, hashlib.sha256(whole.out).hexdigest())


async def test_begun_anew_by_another_command_nothing_is_left_of_the_first(
    stub: LyingS3, on_stub: Environment, tmp_path: Path
) -> None:
    await stopped(stub, on_stub, tmp_path)
    assert (await ran(on_stub, tmp_path, "zip", "s3://stub/b", "a.zip")).status == 0
    assert not list((tmp_path / STATE).iterdir())


async def test_a_part_without_its_note_is_begun_anew(on_stub: Environment, tmp_path: Path, digest: str) -> None:
    (tmp_path / "a.zip.part").write_bytes(bytes(MIB))
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip")
    assert (done.status, done.said) == (0, "a.zip.part: nothing says of what it is, so it is begun anew\n")
    assert_whole(tmp_path, digest)


async def test_discard_leaves_nothing(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    await stopped(stub, on_stub, tmp_path)
    assert (tmp_path / "a.zip.part").exists()
    for said in (b"discarded\n", b"there is nothing to discard\n"):
        done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip", "--discard")
        assert done == (0, said, "")
        assert not has_begun(tmp_path)
        assert not list((tmp_path / STATE).iterdir())


async def test_two_commands_at_one_file(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    stop_in_the_middle(stub)
    async with begun(on_stub, tmp_path, "zip", "s3://stub/", "a.zip") as running:
        await part_is_there(running, tmp_path)
        for source in ("s3://stub/", "s3://stub/b"):
            done = await ran(on_stub, tmp_path, "zip", source, "a.zip")
            assert done == (1, b"", "bucketzip: a.zip: another process is making it\n")
        elsewhere = {**on_stub, "BUCKETZIP_STATE_DIR": str(tmp_path / "elsewhere")}
        for discard in ([], ["--discard"]):
            done = await ran(elsewhere, tmp_path, "zip", "s3://stub/b", "a.zip", *discard)
            assert done == (1, b"", "bucketzip: a.zip.part: another process is writing it\n")


async def test_a_full_disk_is_one_clear_line_and_the_part_stays(
    on_stub: Environment, tmp_path: Path, digest: str
) -> None:
    """A limit for files stands for the disk: it is met in the same place, and needs no disk of its own."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5 * MIB, 5 * MIB))

    done = await installed(on_stub, tmp_path, "zip", "s3://stub/", "a.zip", preexec_fn=limit)
    assert done == (1, b"", f"bucketzip: a.zip.part: {os.strerror(errno.EFBIG)}\n")
    assert (tmp_path / "a.zip.part").stat().st_size == 5 * MIB
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip", "--json")
    assert json.loads(done.out)["from_byte"] == 5 * MIB
    assert_whole(tmp_path, digest)


async def test_too_little_room_is_told_before_anything_is_read(
    stub: LyingS3, on_stub: Environment, tmp_path: Path
) -> None:
    for number in range(100):
        stub.objects.put(f"huge/{number}", Synthetic(5 << 40))
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/huge/", "a.zip")
    assert done.status == 1
    assert done.said.startswith("bucketzip: a.zip: the archive has 549,755,813,9")
    assert "and there is room for " in done.said
    assert not stub.counts["GetObject"]
    assert not has_begun(tmp_path)
    assert not list((tmp_path / STATE).iterdir()), "there is nothing to go on with"


async def test_content_that_is_not_what_s3_told(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    stub.objects.put("g", Synthetic(9 * MIB, 7), crc="full")
    stub.on(gets("g"), lies.other_bytes(8 * MIB + 5))
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/g", "a.zip")
    assert done.status == 1
    assert "s3://stub/g: CRC-32 " in done.said
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/g", "a.zip")
    assert (done.status, done.said) == (0, "")
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert opened.testzip() is None
    assert not list((tmp_path / STATE).iterdir())


async def test_content_that_is_not_what_was_read_before(
    stub: LyingS3, on_stub: Environment, tmp_path: Path, digest: str
) -> None:
    """It may be wrong in the file as well: the next run goes on with none of it."""
    await stopped(stub, on_stub, tmp_path)
    discard(tmp_path / "a.zip")  # as if "a" had been read, and nothing been safe
    stub.on(gets("a"), lies.other_bytes(8 * MIB + 5))
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip")
    assert done.status == 1
    assert "s3://stub/a: CRC-32 " in done.said
    stub.stop_lying()
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip")
    assert (done.status, done.said) == (0, "")
    assert_whole(tmp_path, digest)


async def test_a_note_that_a_crash_has_left_behind_goes(on_stub: Environment, tmp_path: Path, digest: str) -> None:
    """A crash just when the file had its name."""
    assert (await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip")).status == 0
    (tmp_path / "a.zip.part.json").write_text("{}")
    assert (await ran(on_stub, tmp_path, "zip", "s3://stub/", "a.zip")).status == 1
    assert_whole(tmp_path, digest)


async def test_no_credentials_is_one_clear_line(tmp_path: Path) -> None:
    done = await ran({}, tmp_path, "zip", "s3://stub/", "a.zip", "--log-level", "error")
    assert (done.status, done.out) == (1, b"")
    assert done.said.startswith("bucketzip: There are no AWS credentials.")
    assert not list((tmp_path / STATE).iterdir())


async def test_into_a_pipe(on_stub: Environment, tmp_path: Path, digest: str) -> None:
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "-")
    assert (done.status, done.said) == (0, "")
    assert hashlib.sha256(done.out).hexdigest() == digest
    with zipfile.ZipFile(io.BytesIO(done.out)) as opened:
        assert opened.testzip() is None
    assert not list((tmp_path / STATE).iterdir())


async def test_standard_output_may_be_a_file(on_stub: Environment, tmp_path: Path, digest: str) -> None:
    with (tmp_path / "a.zip").open("wb") as file:
        assert (await ran(on_stub, tmp_path, "zip", "s3://stub/", "-", stdout=file.fileno())).status == 0
    assert_whole(tmp_path, digest)


async def test_a_reader_that_leaves_ends_it_quietly(on_stub: Environment, tmp_path: Path) -> None:
    read, write = os.pipe()
    async with begun(on_stub, tmp_path, "zip", "s3://stub/", "-", stdout=write) as running:
        os.close(write)
        assert await asyncio.to_thread(os.read, read, 100)
        os.close(read)
        done = await running.done()
    assert (done.status, done.said) == (141, "")
    assert not list((tmp_path / STATE).iterdir())


async def test_a_pipe_that_nobody_reads_ends_by_a_signal(on_stub: Environment, tmp_path: Path) -> None:
    read, write = os.pipe()
    async with begun(on_stub, tmp_path, "zip", "s3://stub/", "-", stdout=write) as running:
        os.close(write)
        assert await asyncio.to_thread(os.read, read, 100)
        done = await running.ended_by(signal.SIGINT)
        os.close(read)
    assert (done.status, done.said) == (130, "")


async def test_what_a_dead_process_left_is_swept(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    stop_in_the_middle(stub)
    read, write = os.pipe()
    async with begun(on_stub, tmp_path, "zip", "s3://stub/", "-", stdout=write) as running:
        assert await asyncio.to_thread(os.read, read, 100)
        await running.ended_by(signal.SIGKILL)
    for end in (read, write):
        os.close(end)
    assert len(list((tmp_path / STATE).iterdir())) == 1
    stub.stop_lying()
    assert (await ran(on_stub, tmp_path, "zip", "s3://stub/b", "-")).status == 0
    assert not list((tmp_path / STATE).iterdir())


async def on_a_terminal(environment: Environment, work: Path, *arguments: str, which: str) -> tuple[Done, str]:
    """With standard output or standard error on one; returns what it showed, too."""
    ours, theirs = pty.openpty()
    try:
        done = await ran(environment, work, *arguments, **{which: theirs})
        os.close(theirs)
        shown = b""
        while chunk := await asyncio.to_thread(_read, ours):
            shown += chunk
        return done, shown.decode()
    finally:
        os.close(ours)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, MIB)
    except OSError:  # Linux says so where the other side has closed it
        return b""


async def test_an_archive_is_not_for_a_terminal(on_stub: Environment, tmp_path: Path) -> None:
    done, shown = await on_a_terminal(on_stub, tmp_path, "zip", "s3://stub/", "-", which="stdout")
    assert (done.status, shown) == (2, "")
    assert done.said == "bucketzip: a ZIP archive is not for a terminal: name a file, or `| program`\n"


async def test_progress_is_shown_on_a_terminal(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    stub.on(does("GetObject"), lies.stalled(0), times=1)  # until it is asked for again
    environment = {**on_stub, "BUCKETZIP_S3_STALL_SECONDS": "1", "TERM": "xterm"}
    done, shown = await on_a_terminal(environment, tmp_path, "zip", "s3://stub/", "a.zip", which="stderr")
    assert done.status == 0
    lines = [line for line in shown.split("\r\x1b[2K") if line]
    assert any("━" in line and " of 24 MiB  " in line and " of 6 entries" in line for line in lines), lines
    assert shown.endswith("\x1b[2K"), "nothing is left of it"
