"""A file that is not whole yet: what of it is trusted, and what becomes of it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bucketzip.archive.crc import crc32
from bucketzip.local import CannotSave
from bucketzip.local.note import Made
from bucketzip.local.part_file import PartFile, discard, is_begun

SIZE = 1000
STORED, COMPRESSED = Made('"e"'), Made('"e"', "deflate 3")


@contextmanager
def opened(path: Path, of: Made = STORED) -> Iterator[PartFile]:
    part = PartFile(path, of, SIZE if of.way == "store" else None)
    try:
        yield part
    finally:
        part.close()


def begin(path: Path, safe: bytes, unsafe: bytes = b"") -> None:
    with opened(path) as part:
        part.write(safe)
        part.sync(part.length)
        part.write(unsafe)


def begin_compressed(path: Path, *steps: bytes) -> None:
    with opened(path, COMPRESSED) as part:
        for number, step in enumerate(steps):
            part.write(step)
            part.sync(part.length, b"checkpoint %d" % number)


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
        ('{"etag": "\\"e\\"", "way": "auto 6", "bytes": 0}', "it is of an archive made otherwise (auto 6)"),
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


def test_one_that_an_older_release_has_begun_goes_on(tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", b"safe")
    (tmp_path / "a.zip.part.json").write_text('{"etag": "\\"e\\"", "bytes": 4}'.ljust(255) + "\n")
    with opened(tmp_path / "a.zip") as part:
        assert (part.length, part.why_anew) == (4, None)


def test_a_compressed_one_goes_on_where_there_is_a_checkpoint(tmp_path: Path) -> None:
    begin_compressed(tmp_path / "a.zip", b"one", b"two")
    for _ in range(2):
        with opened(tmp_path / "a.zip", COMPRESSED) as part:
            assert (part.length, part.why_anew) == (6, None)
            assert part.checkpoints == (b"checkpoint 0", b"checkpoint 1")
            part.write(b"and more")
    with opened(tmp_path / "a.zip", COMPRESSED) as part:
        part.write(b"three")
        part.sync(part.length, b"checkpoint 2")
    with opened(tmp_path / "a.zip", COMPRESSED) as part:
        assert part.path.read_bytes() == b"onetwothree"
        assert part.checkpoints == (b"checkpoint 0", b"checkpoint 1", b"checkpoint 2")


def test_a_compressed_one_that_is_shorter_than_its_note_says(tmp_path: Path) -> None:
    begin_compressed(tmp_path / "a.zip", b"one", b"two", b"three")
    os.truncate(tmp_path / "a.zip.part", 7)
    for _ in range(2):
        with opened(tmp_path / "a.zip", COMPRESSED) as part:
            assert (part.length, part.checkpoints) == (6, (b"checkpoint 0", b"checkpoint 1"))
            part.write(b"x" * 100)


@pytest.mark.parametrize("end", [b"", b"\0" * 20, b"\n", b"\xff\xfe\n"])
def test_of_a_note_cut_anywhere_what_is_whole_counts(end: bytes, tmp_path: Path) -> None:
    begin_compressed(tmp_path / "a.zip", b"one", b"two")
    note, path = (tmp_path / "a.zip.part.json").read_bytes(), tmp_path / "a.zip.part"
    one = b"".join(note.splitlines(keepends=True)[:2])
    for cut in [*range(0, len(note), 3), len(note)]:
        left = note[:cut] + end
        path.write_bytes(b"onetwo and what was not noted")
        path.with_suffix(".part.json").write_bytes(left)
        with opened(tmp_path / "a.zip", COMPRESSED) as part:
            whole = 6 if left.startswith(note) else 3 if left.startswith(one) else 0
            assert (part.length, len(part.checkpoints)) == (whole, whole // 3)
            assert path.stat().st_size == whole


def test_dropped_it_begins_anew(tmp_path: Path) -> None:
    begin_compressed(tmp_path / "a.zip", b"one", b"two")
    with opened(tmp_path / "a.zip", COMPRESSED) as part:
        part.drop()
    with opened(tmp_path / "a.zip", COMPRESSED) as part:
        assert (part.length, part.checkpoints, part.why_anew) == (0, (), None)


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
            PartFile(tmp_path / "a.zip", STORED, SIZE)
        assert part.path.read_bytes() == b"mine"


def test_what_somebody_has_put_in_its_place_never_gets_its_name(tmp_path: Path) -> None:
    with opened(tmp_path / "a.zip") as part:
        part.write(b"whole")
        part.path.unlink()
        part.path.write_bytes(b"not whole")
        with pytest.raises(CannotSave, match="somebody has removed it"):
            part.finish(replace=False)
    assert not (tmp_path / "a.zip").exists()


def test_while_it_is_written_nobody_discards_it(tmp_path: Path) -> None:
    with opened(tmp_path / "a.zip") as part:
        part.write(b"mine")
        with pytest.raises(CannotSave, match="another process is writing it"):
            discard(tmp_path / "a.zip")
        assert part.path.read_bytes() == b"mine"


def test_a_note_that_was_left_alone_is_discarded_and_means_nothing(tmp_path: Path) -> None:
    """So it is after a crash just behind the last step."""
    begin(tmp_path / "a.zip", b"safe")
    (tmp_path / "a.zip.part").rename(tmp_path / "a.zip")
    with opened(tmp_path / "a.zip") as part:
        assert (part.length, part.why_anew) == (0, None)
    (tmp_path / "a.zip.part").unlink()
    discard(tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_discarded(tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", b"safe")
    assert is_begun(tmp_path / "a.zip")
    for _ in range(2):
        discard(tmp_path / "a.zip")
        assert not list(tmp_path.iterdir())
    assert not is_begun(tmp_path / "a.zip")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotSave, match=r"none/a\.zip\.part: No such file or directory"):
        PartFile(tmp_path / "none" / "a.zip", STORED, SIZE)


def test_more_than_there_is_room_for(tmp_path: Path) -> None:
    with pytest.raises(CannotSave, match=r"the archive has 1,152,921,504,606,846,976 bytes, and there is room for "):
        PartFile(tmp_path / "a.zip", STORED, 1 << 60)
