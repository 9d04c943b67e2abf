"""Manifest files: whole or not there, never more than their room, and there as long as a link needs them."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import Manifest, ManifestBuilder, ManifestError
from bucketzip.errors import StateFull
from bucketzip.state.manifests import GRACE_SECONDS, Manifests
from tests.archive.rendering import Entry, built, written

MIB = 1 << 20


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "not" / "there" / "yet"


def manifest(name: str = "a", count: int = 1) -> ManifestBuilder:
    return built(Entry(f"{name} {number}", b"x") for number in range(count))


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_is_written_is_read_by_its_digest(directory: Path) -> None:
    manifests = Manifests(directory, most_bytes=MIB)
    digest = manifests.write(manifest(count=100))
    opened = manifests.open(digest)
    assert opened.digest() == digest
    assert [opened.name(entry) for entry in range(3)] == [b"a 0", b"a 1", b"a 2"]
    assert [path.name for path in directory.iterdir()] == [f"{digest}.manifest"]
    assert Manifests(directory, most_bytes=MIB).open(digest).digest() == digest


def test_what_is_not_there_is_not_found(directory: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Manifests(directory, most_bytes=MIB).open("0" * 64)


def test_what_is_not_as_it_was_written_is_not_believed(directory: Path) -> None:
    """What it decides of an archive, nobody else could check."""
    manifests = Manifests(directory, most_bytes=MIB)
    digest = manifests.write(manifest(count=3))
    (path,) = directory.iterdir()
    right = path.read_bytes()
    known = 8 + 3  # what was known of CRCs comes last, and is not of the digest
    for at in range(0, len(right) - known - 8, 3):
        path.write_bytes(right[:at] + bytes([right[at] ^ 1]) + right[at + 1 :])
        try:
            opened = manifests.open(digest)
        except ManifestError:
            continue
        assert written_of(opened) == written_of(Manifest(right)), f"byte {at}"
    for length in (0, 1, 100, len(right) - 1):
        path.write_bytes(right[:length])
        with pytest.raises(ManifestError):
            manifests.open(digest)
    manifests.write(manifest(count=3))
    assert manifests.open(digest).digest() == digest, "to plan it again puts it right"


def written_of(manifest: Manifest) -> bytes:
    """All that it decides."""
    layout = Layout(manifest, "etag")
    return b"".join(repr(segment).encode() for segment in layout.cut(0, layout.size))


def test_the_same_manifest_is_one_file(directory: Path) -> None:
    manifests = Manifests(directory, most_bytes=MIB)
    first = manifests.write(manifest())
    opened = manifests.open(first)
    assert manifests.write(manifest()) == first
    assert len(list(directory.iterdir())) == 1
    assert opened.digest() == first, "whoever has it open goes on reading it"


def test_a_write_that_breaks_off_leaves_nothing(directory: Path) -> None:
    class Breaking(ManifestBuilder):
        def write(self, file: Any) -> str:
            file.write(b"half of it")
            raise OSError("disk full")

    manifests = Manifests(directory, most_bytes=MIB)
    with pytest.raises(OSError, match="disk full"):
        manifests.write(Breaking())
    assert list(directory.iterdir()) == []


KILLED = """
import sys, os, signal
from pathlib import Path
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import Manifest, ManifestBuilder, ManifestError
from bucketzip.state.manifests import Manifests
class Killed(ManifestBuilder):
    def write(self, file):
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
Manifests(Path(sys.argv[1]), most_bytes=1 << 20).write(Killed())
"""


def test_a_write_that_is_killed_is_swept_later(directory: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(directory)], check=False)
    (left,) = directory.iterdir()
    assert not left.name.endswith(".manifest"), "half a manifest never has a manifest's name"
    manifests = Manifests(directory, most_bytes=MIB)
    assert manifests.sweep(set()) == 0, "another process may be writing it"
    age(left, GRACE_SECONDS + 10)
    assert manifests.sweep(set()) == 1
    assert list(directory.iterdir()) == []


def test_the_room_is_never_exceeded(directory: Path) -> None:
    size = len(written(manifest("a", 100)))
    manifests = Manifests(directory, most_bytes=2 * size + size // 2)
    manifests.write(manifest("a", 100))
    manifests.write(manifest("b", 100))
    with pytest.raises(StateFull):
        manifests.write(manifest("c", 100))
    assert sum(path.stat().st_size for path in directory.iterdir()) == 2 * size
    manifests.write(manifest("c", 1))
    manifests.write(manifest("a", 100))  # takes no room: it is there


def test_the_last_byte_of_the_room_may_be_used(directory: Path) -> None:
    size = len(written(manifest()))
    Manifests(directory, most_bytes=size).write(manifest())
    with pytest.raises(StateFull):
        Manifests(directory, most_bytes=size - 1).write(manifest("b"))


def test_room_is_made_by_a_sweep(directory: Path) -> None:
    manifests = Manifests(directory, most_bytes=len(written(manifest())))
    digest = manifests.write(manifest())
    with pytest.raises(StateFull):
        manifests.write(manifest("b"))
    age(directory / f"{digest}.manifest", GRACE_SECONDS + 10)
    assert manifests.sweep(set()) == 1
    manifests.write(manifest("b"))


def test_the_sweep_keeps_what_is_needed_and_what_is_new(directory: Path) -> None:
    manifests = Manifests(directory, most_bytes=MIB)
    needed, unneeded, new = (manifests.write(manifest(name)) for name in "abc")
    for digest in (needed, unneeded):
        age(directory / f"{digest}.manifest", GRACE_SECONDS + 10)
    opened = manifests.open(unneeded)
    assert manifests.sweep({needed}) == 1
    assert manifests.open(needed).digest() == needed
    assert manifests.open(new).digest() == new
    with pytest.raises(FileNotFoundError):
        manifests.open(unneeded)
    assert opened.digest() == unneeded, "a download that is under way goes on"


def test_a_manifest_written_again_is_new_again(directory: Path) -> None:
    """Its link is about to be written; the sweep between must not take it."""
    manifests = Manifests(directory, most_bytes=MIB)
    digest = manifests.write(manifest())
    age(directory / f"{digest}.manifest", GRACE_SECONDS + 10)
    assert manifests.write(manifest()) == digest
    assert manifests.sweep(set()) == 0


SWEEPER = """
import sys
from pathlib import Path
from bucketzip.state.manifests import Manifests
manifests = Manifests(Path(sys.argv[1]), most_bytes=1 << 30)
print("ready", flush=True)
while True:
    manifests.sweep(set())
"""


def test_two_processes_sweep_and_write_at_once(directory: Path) -> None:
    """Files vanish between being listed and being looked at; that is no error."""
    manifests = Manifests(directory, most_bytes=1 << 30)
    with subprocess.Popen([sys.executable, "-c", SWEEPER, str(directory)], stdout=subprocess.PIPE) as sweeper:
        assert sweeper.stdout is not None
        sweeper.stdout.readline()
        for round_ in range(15):
            for number in range(20):
                (directory / f"{round_} {number}").touch()
                age(directory / f"{round_} {number}", GRACE_SECONDS + 10)
            manifests.sweep(set())
            digest = manifests.write(manifest(str(round_)))
            assert manifests.open(digest).digest() == digest
        assert sweeper.poll() is None
        sweeper.kill()
