"""An archive is as long as somebody else's writer makes it, record for record."""

import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import ManifestBuilder
from tests.archive.rendering import SOME_TIME, piece_length, pieces, read_back, source
from tests.archive.sparse import Sparse
from tests.archive.strategies import layouts
from tests.archive.zipfile_writer import MAX_32, Stretch, written_by_zipfile


def stretches_of(layout: Layout) -> list[Stretch]:
    whole = pieces(layout, 0, layout.size)
    return [piece if isinstance(piece, bytes) else piece_length(piece) for piece in whole]


def lengths(stretches: list[Stretch]) -> list[int]:
    return [len(stretch) if isinstance(stretch, bytes) else stretch for stretch in stretches]


def assert_as_long_as_zipfiles(layout: Layout) -> None:
    theirs = lengths(written_by_zipfile(layout.manifest))
    assert lengths(stretches_of(layout)) == theirs
    assert layout.size == sum(theirs)


@settings(deadline=None, max_examples=100)
@given(layouts(arranged=False))
def test_it_is_as_long_as_zipfiles(layout: Layout) -> None:
    """Names beyond ASCII, folders, descriptors and Zip64 in any mixture."""
    assert_as_long_as_zipfiles(layout)


@settings(deadline=None, max_examples=100)
@given(layouts(sizes=st.integers(0, 1 << 27), crcs=st.integers(0, MAX_32), arranged=False))
def test_without_descriptors_and_zip64_it_has_the_bytes_of_zipfiles(layout: Layout) -> None:
    assert stretches_of(layout) == written_by_zipfile(layout.manifest)


@pytest.mark.parametrize("crc", [1, None])
@pytest.mark.parametrize("size", [MAX_32 - 1, MAX_32, MAX_32 + 1])
def test_an_entry_on_the_border_of_zip64(size: int, crc: int | None) -> None:
    assert_as_long_as_zipfiles(layout_of(size, crc))


@pytest.mark.parametrize("border", [MAX_32 - 1, MAX_32, MAX_32 + 1])
def test_a_header_and_a_directory_on_the_border_of_zip64(border: int) -> None:
    before = layout_of(0).manifest
    header = layout_of(border - before.positions[1])
    assert header.manifest.positions[1] == border
    assert_as_long_as_zipfiles(header)
    directory = layout_of(border - before.content_bytes)
    assert directory.manifest.content_bytes == border
    assert_as_long_as_zipfiles(directory)


@pytest.mark.parametrize(("count", "end_bytes"), [(65_534, 22), (65_535, 56 + 20 + 22), (65_536, 56 + 20 + 22)])
def test_as_many_entries_as_need_zip64(count: int, end_bytes: int) -> None:
    """65,535 do already: in the end record that number says "see Zip64"."""
    builder = ManifestBuilder()
    for number in range(count):
        builder.add(f"{number}", source(), size=0, mtime=SOME_TIME)
    layout = Layout(read_back(builder))
    assert layout.size == layout.manifest.content_bytes + layout.manifest.directory_bytes + end_bytes
    with zipfile.ZipFile(Sparse(layout)) as archive:
        assert len(archive.infolist()) == count
        assert archive.start_dir == layout.manifest.content_bytes


def layout_of(size: int, crc: int | None = 1) -> Layout:
    """An entry of this size, and a small one behind it."""
    builder = ManifestBuilder()
    builder.add("large", source(), size=size, mtime=SOME_TIME, crc=crc)
    builder.add("\u00fc", source(), size=3, mtime=SOME_TIME, crc=2)
    return Layout(read_back(builder))
