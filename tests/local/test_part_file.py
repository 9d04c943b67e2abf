"""A file that is not whole yet: what of it is trusted, and what becomes of it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bucketzip.archive.crc import crc32
from bucketzip.local import CannotSave
from bucketzip.local.part_file import PartFile, discard, is_begun

SIZE = 1000


@contextmanager
def opened(path: Path, etag: str = '"e"', size: int = SIZE) -> Iterator[PartFile]:
    part = PartFile(path, etag, size)
    try:
        yield part
    finally:
        part.close()


def begin(path: Path, safe: bytes, unsafe: bytes = b"") -> None:
    with opened(path) as part:
        part.write(safe)
        part.sync()
        part.write(unsafe)


def test_it_goes_on_behind_what_is_safe(tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", b"safe", b"perhaps not")
    with opened(tmp_path / "a.zip") as part:
        assert (part.length, part.why_anew) == (4, None)
        part.write(memoryview(b"ty"))
        assert part.path.read_bytes() == b"safety"
        assert part.crc(1, 6) == crc32(b"afety")


def test_a_file_that_is_shorter_than_its_note_says(tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", b"safe")
    os.truncate(tmp_path / "a.zip.part", 3)
    with opened(tmp_path / "a.zip") as part:
        assert (part.length, part.why_anew) == (3, None)


@pytest.mark.parametrize(
    ("note", "why"),
    [
        ('{"etag": "\\"other\\"", "bytes": 4}', "it is of an archive of other content"),
        (None, "nothing says of what it is"),
        ("", "nothing says of what it is"),
        ("[]", "nothing says of what it is"),
        ('{"etag": "\\"e\\""}', "nothing says of what it is"),
    ],
)
def test_what_is_of_no_use_is_dropped(note: str | None, why: str, tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", b"safe")
    path = tmp_path / "a.zip.part.json"
    path.unlink() if note is None else path.write_text(note)
    with opened(tmp_path / "a.zip") as part:
        assert (part.length, part.why_anew) == (0, why)
        assert part.path.read_bytes() == b""
    with opened(tmp_path / "a.zip") as part:
        assert part.why_anew is None


def test_finished_it_has_its_name_and_nothing_is_left(tmp_path: Path) -> None:
    with opened(tmp_path / "a.zip") as part:
        part.write(b"whole")
        part.finish(replace=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == b"whole"
    assert not stat.S_IMODE((tmp_path / "a.zip").stat().st_mode) & 0o111


def test_a_name_that_was_taken_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path / "a.zip") as part:
        part.write(b"whole")
        (tmp_path / "a.zip").write_text("theirs")
        with pytest.raises(CannotSave, match=r"a\.zip: File exists"):
            part.finish(replace=False)
        assert (tmp_path / "a.zip").read_text() == "theirs"
        part.finish(replace=True)
    assert (tmp_path / "a.zip").read_text() == "whole"


def test_it_is_one_writer_s(tmp_path: Path) -> None:
    with opened(tmp_path / "a.zip") as part:
        part.write(b"mine")
        with pytest.raises(CannotSave, match="another process is writing it"):
            PartFile(tmp_path / "a.zip", '"e"', SIZE)
        assert part.path.read_bytes() == b"mine"


def test_discarded(tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", b"safe")
    assert is_begun(tmp_path / "a.zip")
    for _ in range(2):
        discard(tmp_path / "a.zip")
        assert not list(tmp_path.iterdir())
    assert not is_begun(tmp_path / "a.zip")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotSave, match=r"none/a\.zip\.part: No such file or directory"):
        PartFile(tmp_path / "none" / "a.zip", '"e"', SIZE)


def test_more_than_there_is_room_for(tmp_path: Path) -> None:
    with pytest.raises(CannotSave, match=r"the archive has 1,152,921,504,606,846,976 bytes, and there is room for "):
        PartFile(tmp_path / "a.zip", '"e"', 1 << 60)
