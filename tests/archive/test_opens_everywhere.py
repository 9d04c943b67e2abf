"""Archives of every kind open in everybody's reader: unzip, 7z, bsdtar, Python's and both of Java's."""

import hashlib
import random
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bucketzip.archive.manifest import READ_AHEAD_BYTES
from bucketzip.archive.names import Names
from tests.archive.rendering import Entry, archive_of
from tests.readers.readers import ArchiveReaders
from tests.readers.tree import Refused, tool

LARGE = bytes(range(256)) * ((READ_AHEAD_BYTES >> 8) + 1)
assert len(LARGE) > READ_AHEAD_BYTES


def content_of(entries: Sequence[Entry]) -> Mapping[str, bytes | str]:
    return {entry.name: entry.content for entry in entries}


KINDS: dict[str, list[Entry]] = {
    "CRCs known": [Entry("a.txt", b"first"), Entry("b.txt", b"second"), Entry("large.bin", LARGE)],
    "CRCs known when the header goes out": [
        Entry("a.txt", b"first", crc_known=False),
        Entry("b.txt", b"second", crc_known=False),
        Entry("8 MiB.bin", LARGE[:READ_AHEAD_BYTES], crc_known=False),
    ],
    "empty objects": [Entry("a"), Entry("b", crc_known=False), Entry("c")],
    "folders": [
        Entry("empty/", inline=True),
        Entry("full/", inline=True),
        Entry("full/a", b"in it"),
        Entry("no entry of its own/b", b"in it"),
        Entry("late/a", b"before its folder"),
        Entry("late/", inline=True),
        Entry("d/" * 500, inline=True),
    ],
    "a single folder": [Entry("empty/", inline=True)],
    "names beyond ASCII": [
        Entry("caf\u00e9 composed", b"NFC"),
        Entry("cafe\u0301 decomposed", b"NFD"),
        Entry("\u65e5\u672c/\u8a9e.txt", b"Japanese"),
        Entry("\U0001f600", b"beyond the BMP"),
        Entry("\u00fc/", inline=True),
        Entry("plain.txt", b"ASCII beside them"),
    ],
    "odd characters": [
        Entry(f"{character} {number}", character.encode())
        for number, character in enumerate("*?[]{}()<>|&;:'\"`$#!~^%+=@, -\u00a0\u2028\u202e")
    ],
    "long parts": [Entry("\u00e9" * 120, b"240 bytes"), Entry("x" * 255, b"255 bytes")],
    "times at the borders": [
        Entry("epoch", b"1970", mtime=0),
        Entry("2038", b"2038", mtime=1 << 31),
        Entry("2106", b"2106", mtime=0xFFFF_FFFF),
    ],
    "what is missing": [Entry("a", b"there"), Entry("MISSING.txt", "s3://b/\u00fc\n".encode(), inline=True)],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive.zip"


@pytest.mark.parametrize("kind", KINDS)
def test_it_opens_everywhere(kind: str, path: Path, archive_readers: ArchiveReaders) -> None:
    entries = KINDS[kind]
    path.write_bytes(archive_of(entries))
    archive_readers.assert_opens_everywhere(path, content_of(entries), java_stream=True)


def test_names_that_clashed_open_everywhere(path: Path, archive_readers: ArchiveReaders) -> None:
    names = Names()
    wanted = [
        "a.txt",
        "a.txt",
        "a.txt",
        "a",
        "a/b",
        "a/b",
        "x/y",
        "x",
        "../up",
        "/abs",
        "C:/drive",
        "back\\slash",
        "tab\t",
    ]
    entries = [Entry(names.file(name), f"{number}".encode()) for number, name in enumerate(wanted)]
    assert {"a (3).txt", "a (2)/b (2)", "x (2)"} < content_of(entries).keys()
    path.write_bytes(archive_of(entries))
    archive_readers.assert_opens_everywhere(path, content_of(entries), java_stream=True)


def test_descriptors_open_everywhere_but_in_a_java_stream(path: Path, archive_readers: ArchiveReaders) -> None:
    """Java's ZipInputStream refuses stored entries with a descriptor, whatever their header says of the size."""
    entries = [
        Entry("first.txt", b"first"),
        Entry("large.bin", LARGE, crc_known=False),
        Entry("\u00fc.bin", LARGE[::-1], crc_known=False),
        Entry("last.txt", b"last", crc_known=False),
    ]
    path.write_bytes(archive_of(entries))
    digests = {entry.name: hashlib.sha256(entry.content).hexdigest() for entry in entries}
    archive_readers.assert_opens_everywhere(path, digests, java_stream=False)
    with pytest.raises(Refused, match="only DEFLATED entries can have EXT descriptor"):
        archive_readers._java.stream(path)


def test_entries_that_lie_in_another_order_open_everywhere(path: Path, archive_readers: ArchiveReaders) -> None:
    """As in an archive in a bucket: small entries lie where they are glue, the directory is the user's."""
    entries = [
        Entry("large.bin", LARGE, crc_known=False),
        Entry("folder/", inline=True),
        Entry("folder/a.txt", b"first"),
        *(entry for kind, entries in KINDS.items() if kind.startswith("names") for entry in entries),
        Entry("empty"),
        Entry("\u00fc.bin", LARGE[::-1], crc_known=False),
        Entry("last.txt", b"last", crc_known=False),
    ]
    order = random.Random(0).sample(range(len(entries)), len(entries))
    path.write_bytes(archive_of(entries, order))
    archive_readers.assert_opens_everywhere(path, content_of(entries), java_stream=True)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [entry.name for entry in entries]
        by_place = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
        assert [entry.filename for entry in by_place] == [entries[number].name for number in order]


def test_many_entries_that_lie_in_another_order_are_read_without_a_word(path: Path) -> None:
    entries = [Entry(f"{number % 40}/{number}.txt", b"%d" % number) for number in range(2000)]
    path.write_bytes(archive_of(entries, range(1999, -1, -1)))

    def said(*command: str | Path) -> str:
        return subprocess.run(
            [tool(str(command[0])), *command[1:]],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ).stdout

    assert said("unzip", "-tqq", path) == ""
    seven = said("7z", "t", path)
    assert "Everything is Ok" in seven
    assert "Warning" not in seven
    listed = said("unzip", "-Z1", path).splitlines()
    assert listed == [entry.name for entry in entries]


def test_an_archive_that_names_its_signatures_opens_everywhere(path: Path, archive_readers: ArchiveReaders) -> None:
    """A reader that looked for the descriptor's signature would find one in the content first."""
    signatures = b"PK\x03\x04PK\x07\x08PK\x01\x02PK\x05\x06"
    entries = [Entry("zip.zip", signatures * ((READ_AHEAD_BYTES >> 4) + 1), crc_known=False)]
    path.write_bytes(archive_of(entries))
    archive_readers.assert_opens_everywhere(path, content_of(entries), java_stream=False)


def test_a_few_thousand_entries_open_everywhere(path: Path, archive_readers: ArchiveReaders) -> None:
    entries = [
        Entry(f"{number % 40}/{number}.txt", b"%d" % number, crc_known=number % 2 == 0) for number in range(2000)
    ]
    path.write_bytes(archive_of(entries))
    archive_readers.assert_opens_everywhere(path, content_of(entries), java_stream=True)


def test_the_zip64_end_record_is_understood(path: Path, archive_readers: ArchiveReaders) -> None:
    """Tested, not extracted: 70,000 files on a disk would take most of the time of all tests."""
    count = 70_000
    path.write_bytes(archive_of([Entry(f"{number}", b"%d" % number) for number in range(count)]))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == count
        assert archive.read(f"{count - 1}") == b"%d" % (count - 1)

    def said(*command: str | Path) -> str:
        return subprocess.run(
            [tool(str(command[0])), *command[1:]],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ).stdout

    assert said("unzip", "-tqq", path) == ""
    seven = said("7z", "t", path)
    assert "Everything is Ok" in seven
    assert "Warning" not in seven
    assert f"Files: {count}" in seven
    assert len(said("bsdtar", "-tf", path).splitlines()) == count
    assert len(archive_readers._java.file(path)) == count
    assert len(archive_readers._java.stream(path)) == count


def test_mode_and_time_are_restored(path: Path, tmp_path: Path) -> None:
    """Unix mode 0644 and 0755; the time to the second, by the extended timestamp."""
    odd = 1_700_000_001
    path.write_bytes(archive_of([Entry("folder/", inline=True, mtime=odd), Entry("folder/file", b"x", mtime=odd)]))
    for command in (["unzip", "-qq", str(path), "-d"], ["bsdtar", "-xpf", str(path), "-C"]):
        target = tmp_path / command[0]
        target.mkdir()
        subprocess.run([tool(command[0]), *command[1:], str(target)], check=True)
        assert (target / "folder").stat().st_mode & 0o777 == 0o755
        assert (target / "folder/file").stat().st_mode & 0o777 == 0o644
        assert (target / "folder/file").stat().st_mtime == odd
