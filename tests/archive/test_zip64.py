"""Archives beyond 4 GiB that nobody writes: their content is zeros, made when they are read."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import ManifestBuilder
from tests.archive.rendering import SOME_TIME, piece_length, pieces, read_back, source
from tests.archive.sparse import Sparse
from tests.readers.tree import tool

GIB = 1 << 30
SMALL = b"behind the border"
# Size, and whether the CRC is known: the last header of each archive is beyond 4 GiB.
LARGE = {
    "just below.bin": (0xFFFF_FFFE, True),
    "sentinel.bin": (0xFFFF_FFFF, True),
    "border.bin": (1 << 32, False),
    "late.bin": (5 * GIB, False),
    "terabyte.bin": (1 << 40, True),
}


def layout_of(large: dict[str, tuple[int, bool]]) -> Layout:
    builder = ManifestBuilder()
    builder.add_inline("first.txt", SMALL, mtime=SOME_TIME)
    for name, (size, known) in large.items():
        builder.add(name, source(), size=size, mtime=SOME_TIME, crc=0x12345678 if known else None)
    builder.add_inline("last.txt", SMALL, mtime=SOME_TIME)
    return Layout(read_back(builder))


def test_zipfile_finds_every_size_and_offset() -> None:
    layout = layout_of(LARGE)
    manifest = layout.manifest
    with zipfile.ZipFile(Sparse(layout)) as archive:
        entries = archive.infolist()
        assert [entry.filename for entry in entries] == ["first.txt", *LARGE, "last.txt"]
        assert [entry.file_size for entry in entries] == list(manifest.sizes)
        assert [entry.header_offset for entry in entries] == list(manifest.positions)
        assert [entry.CRC for entry in entries[1:-1]] == [
            0x12345678 if known else 0x9ABCDEF0 for _, known in LARGE.values()
        ]
        assert entries[-1].header_offset > 1 << 40
        assert archive.read("first.txt") == archive.read("last.txt") == SMALL
        for name in LARGE:  # the local header agrees, or it would not open
            with archive.open(name) as content:
                assert content.read(10) == bytes(10)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_an_offset_on_the_border_is_found(last: int) -> None:
    """The last header at 0xFFFFFFFE, 0xFFFFFFFF (which means "see Zip64") and 0x100000000."""
    fill = 0xFFFF_FFFE + last - layout_of({"x": (0, True)}).manifest.positions[2]
    layout = layout_of({"x": (fill, True)})
    assert layout.manifest.positions[2] == 0xFFFF_FFFE + last
    with zipfile.ZipFile(Sparse(layout)) as archive:
        assert archive.getinfo("last.txt").header_offset == 0xFFFF_FFFE + last
        assert archive.read("last.txt") == SMALL


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_directory_on_the_border_is_found(last: int) -> None:
    fill = 0xFFFF_FFFE + last - layout_of({"x": (0, True)}).manifest.content_bytes
    layout = layout_of({"x": (fill, True)})
    assert layout.manifest.content_bytes == 0xFFFF_FFFE + last
    with zipfile.ZipFile(Sparse(layout)) as archive:
        assert archive.start_dir == 0xFFFF_FFFE + last
        assert archive.read("last.txt") == SMALL


def test_other_readers_find_what_is_behind_4_gib(tmp_path: Path) -> None:
    """On a file with holes: what is not written takes no room and no time."""
    layout = layout_of({"large.bin": (5 * GIB, False)})
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        at = 0
        for piece in pieces(layout, 0, layout.size):
            if isinstance(piece, bytes):
                file.seek(at)
                file.write(piece)
            at += piece_length(piece)
    assert path.stat().st_size == layout.size > 5 * GIB
    assert path.stat().st_blocks * 512 < 1 << 20, "this file system keeps no holes"

    def said(*command: str | Path) -> bytes:
        return subprocess.run([tool(str(command[0])), *command[1:]], check=True, stdout=subprocess.PIPE).stdout

    for extract in (
        ("unzip", "-p", path, "last.txt"),
        ("7z", "e", "-so", path, "last.txt"),
        ("bsdtar", "-xOf", path, "last.txt"),
    ):
        assert said(*extract) == SMALL, extract[0]
    assert str(5 * GIB).encode() in said("unzip", "-l", path)
    assert f"Size = {5 * GIB}\n".encode() in said("7z", "l", "-slt", path)
    assert str(5 * GIB).encode() in said("bsdtar", "-tvf", path)
