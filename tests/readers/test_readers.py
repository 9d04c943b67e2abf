"""The judges let a sound archive pass, and notice each way in which one can be unsound."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from tests.readers.readers import ArchiveReaders
from tests.readers.tree import tool

CONTENT = {
    "plain.txt": b"plain",
    "empty": b"",
    "a directory/": b"",
    "a directory/\u00fc\u2014\u65e5\u672c.txt": b"beyond ASCII",
    "an empty directory/": b"",
    "emoji \U0001f600": os.urandom(100_000),
    "decomposed e\u0301": b"NFD",
    "back\\slash": b"alone",
    "with/back\\slash": b"beside a slash",
    "control \x01\t\n\x7f": b"",
    "-leading": b"looks like an option",
    "q?*[x]": b"looks like a pattern",
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as made:
        for name, content in CONTENT.items():
            made.writestr(name, content)
    return path


def test_a_sound_archive_opens_everywhere(archive: Path, archive_readers: ArchiveReaders) -> None:
    archive_readers.assert_opens_everywhere(archive, CONTENT, java_stream=True)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    archive_readers.assert_opens_everywhere(archive, digests, java_stream=True)


def test_every_reader_notices_what_is_missing_and_what_differs(archive: Path, archive_readers: ArchiveReaders) -> None:
    wanted = {**CONTENT, "plain.txt": b"other", "not there": b""}
    del wanted["empty"]
    with pytest.raises(AssertionError) as failed:
        archive_readers.assert_opens_everywhere(archive, wanted, java_stream=True)
    problem = "'empty' is not expected; 'not there' is missing; 'plain.txt' has other bytes"
    readers = ["zipfile", "unzip", "7z", "bsdtar", "Java ZipFile", "Java ZipInputStream"]
    assert str(failed.value).splitlines() == [f"{reader}: {problem}" for reader in readers]


@pytest.mark.parametrize("damaged", ["one byte", "the end"])
def test_every_reader_refuses_a_broken_archive(damaged: str, archive: Path, archive_readers: ArchiveReaders) -> None:
    data = bytearray(archive.read_bytes())
    if damaged == "one byte":
        data[data.index(b"plain.txt") + len("plain.txt")] ^= 1
    else:
        del data[60:]
    archive.write_bytes(data)
    with pytest.raises(AssertionError) as failed:
        archive_readers.assert_opens_everywhere(archive, CONTENT, java_stream=True)
    accused = {line.partition(":")[0] for line in str(failed.value).splitlines()}
    assert accused >= {"zipfile", "unzip", "7z", "bsdtar", "Java ZipFile", "Java ZipInputStream"}


def test_bytes_behind_the_end_are_noticed(archive: Path, archive_readers: ArchiveReaders) -> None:
    archive.write_bytes(archive.read_bytes() + b"rest")
    with pytest.raises(AssertionError, match="7z: refused"):
        archive_readers.assert_opens_everywhere(archive, CONTENT, java_stream=True)


def test_names_a_reader_would_mix_up_are_a_mistake_of_the_test(archive: Path, archive_readers: ArchiveReaders) -> None:
    with pytest.raises(AssertionError, match="unzip would write two of these names as one"):
        archive_readers.assert_opens_everywhere(archive, {"a\tb": b"", "ab": b""}, java_stream=False)


def test_a_missing_tool_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="`make test` installs"):
        tool("unzip")
