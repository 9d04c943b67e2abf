"""The property above all: any slice of the archive equals that slice of the whole."""

import hashlib
import io
import os
import random
import subprocess
import sys
import zipfile
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive import records
from bucketzip.archive.crc import crc32
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import FORMAT_VERSION, READ_AHEAD_BYTES, ManifestBuilder, Source
from bucketzip.archive.segments import Pending, Record, Segment, Span
from tests.archive.rendering import (
    SOME_TIME,
    Entry,
    archive_of,
    borders_of,
    built,
    length_of,
    mixed_entries,
    piece_length,
    pieces,
    read_back,
    render,
    slice_of,
    source,
)
from tests.archive.strategies import draw_place, layouts


def waiting_without_content(layout: Layout, start: int, stop: int) -> set[int]:
    """Return the entries with a pending record in the cut of which the cut has not the whole content."""
    cut = list(layout.cut(start, stop))
    whole = {
        segment.entry
        for segment in cut
        if isinstance(segment, Span) and segment.stop - segment.start == layout.manifest.sizes[segment.entry]
    }
    return {segment.entry for segment in cut if isinstance(segment, Pending)} - whole


@settings(deadline=None, max_examples=200)
@given(layouts(), st.data())
def test_any_cut_is_that_slice_of_the_whole(layout: Layout, data: st.DataObject) -> None:
    start, stop = draw_place(layout, data), draw_place(layout, data)
    whole = pieces(layout, 0, layout.size)
    assert pieces(layout, start, stop) == slice_of(whole, start, stop)


@settings(deadline=None, max_examples=60)
@given(layouts(), st.data())
def test_cuts_at_any_places_put_together_are_the_whole(layout: Layout, data: st.DataObject) -> None:
    places = sorted({0, layout.size, *(draw_place(layout, data) for _ in range(5))})
    whole = pieces(layout, 0, layout.size)
    at = 0
    for start, stop in pairwise(places):
        for piece in pieces(layout, start, stop):
            assert slice_of(whole, at, at + piece_length(piece)) == [piece]
            at += piece_length(piece)
    assert at == layout.size


@settings(deadline=None, max_examples=60)
@given(layouts(), st.data())
def test_no_segment_is_empty_and_their_lengths_are_the_cuts(layout: Layout, data: st.DataObject) -> None:
    start, stop = draw_place(layout, data), draw_place(layout, data)
    lengths = [length_of(segment) for segment in layout.cut(start, stop)]
    assert all(length > 0 for length in lengths)
    assert sum(lengths) == max(stop - start, 0)


def test_every_cut_from_border_to_border_and_one_beside() -> None:
    """All of them, for one archive of each kind of entry: an off-by-one anywhere shows here."""
    builder = ManifestBuilder()
    for name, size, crc in (("late", READ_AHEAD_BYTES + 1, None), ("wide", 5 << 30, None), ("known", 9, 1), ("", 0, 1)):
        builder.add(f"{name}.bin", source(name), size=size, mtime=SOME_TIME, crc=crc)
    builder.add_inline("inline", b"bytes", mtime=SOME_TIME)
    builder.add_inline("folder/", b"", mtime=SOME_TIME)
    builder.add("pending", source(), size=3, mtime=SOME_TIME)
    layout = Layout(read_back(builder))
    whole = pieces(layout, 0, layout.size)
    places = sorted({border + beside for border in borders_of(layout) for beside in (-1, 0, 1)} - {-1})
    for start, stop in product(places, places):
        assert pieces(layout, start, stop) == slice_of(whole, start, stop)
        assert all(map(length_of, layout.cut(start, stop)))
        assert set(layout.told_elsewhere(start, stop)) == waiting_without_content(layout, start, stop)


@settings(deadline=None, max_examples=60)
@given(layouts())
def test_the_size_is_that_of_the_whole(layout: Layout) -> None:
    assert sum(map(piece_length, pieces(layout, 0, layout.size))) == layout.size
    assert list(layout.cut(layout.size, layout.size + 10)) == []
    assert pieces(layout, 0, layout.size + 10) == pieces(layout, 0, layout.size)


@settings(deadline=None, max_examples=60)
@given(layouts(), st.data())
def test_a_crc_is_told_elsewhere_unless_all_of_its_content_is_in_the_cut(layout: Layout, data: st.DataObject) -> None:
    start, stop = draw_place(layout, data), draw_place(layout, data)
    assert set(layout.told_elsewhere(start, stop)) == waiting_without_content(layout, start, stop)
    assert set(layout.told_elsewhere(0, layout.size)) == set()


@settings(deadline=None, max_examples=60)
@given(layouts())
def test_a_header_starts_where_the_directory_says(layout: Layout) -> None:
    manifest = layout.manifest
    for entry in range(len(manifest)):
        position = manifest.positions[entry]
        (signature,) = pieces(layout, position, position + 4)
        assert signature == b"PK\x03\x04"
        at = manifest.content_bytes + manifest.directory_at[entry]
        (signature,) = pieces(layout, at, at + 4)
        assert signature == b"PK\x01\x02"


@pytest.mark.parametrize("seed", range(2))
def test_any_cut_has_the_bytes_of_that_slice(seed: int) -> None:
    """With real content, in bytes: 300 entries of every kind, cut at 400 random places and at every border."""
    entries = mixed_entries(seed, 300)
    layout = Layout(read_back(built(entries)))
    whole = archive_of(entries)
    assert len(whole) == layout.size

    def cut(start: int, stop: int) -> bytes:
        return render(
            layout,
            start,
            stop,
            read=lambda entry, start, stop: entries[entry].content[start:stop],
            crc=lambda entry: crc32(entries[entry].content),
        )

    borders = borders_of(layout)
    assert b"".join(cut(start, stop) for start, stop in pairwise(borders)) == whole
    assert b"".join(cut(start, stop) for start, stop in pairwise(borders[::3] + borders[-1:])) == whole
    rng = random.Random(seed)
    for _ in range(400):
        start = max(0, rng.choice(borders) + rng.randint(-20, 20))
        stop = min(layout.size, start + rng.choice([1, 7, 100, 5000, 100_000]))
        assert cut(start, stop) == whole[start:stop]


@pytest.mark.parametrize("seed", range(2))
def test_the_whole_is_an_archive_of_what_went_in(seed: int) -> None:
    entries = mixed_entries(seed, 300)
    with zipfile.ZipFile(io.BytesIO(archive_of(entries))) as archive:
        assert archive.testzip() is None
        found = archive.infolist()
        assert [entry.filename for entry in found] == [entry.name for entry in entries]
        for entry in entries:
            assert archive.read(entry.name) == entry.content
        assert {entry.compress_type for entry in found} == {zipfile.ZIP_STORED}


def segments_of(entry: Entry) -> list[Segment]:
    layout = Layout(read_back(built([entry])))
    return list(layout.cut(0, layout.size))


def kinds_of(entry: Entry) -> list[str]:
    return [
        segment.record.name if isinstance(segment, Pending) else type(segment).__name__
        for segment in segments_of(entry)
    ]


def test_what_waits_for_its_crc_is_pending_and_nothing_else() -> None:
    large = bytes(READ_AHEAD_BYTES + 1)
    assert kinds_of(Entry("a", b"x")) == ["Literal", "Span", "Literal", "Literal"]
    assert kinds_of(Entry("a", b"x", crc_known=False)) == ["HEADER", "Span", "DIRECTORY", "Literal"]
    assert kinds_of(Entry("a", large)) == ["Literal", "Span", "Literal", "Literal"]
    assert kinds_of(Entry("a", large, crc_known=False)) == ["Literal", "Span", "DESCRIPTOR", "DIRECTORY", "Literal"]
    assert kinds_of(Entry("a", b"", crc_known=False)) == ["Literal", "Literal", "Literal"]
    assert kinds_of(Entry("a", b"x", inline=True)) == ["Literal", "Literal", "Literal", "Literal"]
    assert kinds_of(Entry("a/", inline=True)) == ["Literal", "Literal", "Literal"]


def test_a_pending_record_becomes_the_slice_it_stands_for() -> None:
    layout = Layout(read_back(built([Entry("name", b"x", crc_known=False)])))
    header = records.local_header(b"name", size=1, crc=0xDEADBEEF, mtime=SOME_TIME, descriptor=False)
    assert list(layout.cut(10, 20)) == [Pending(Record.HEADER, 0, 10, 20)]
    assert layout.encode(Pending(Record.HEADER, 0, 10, 20), 0xDEADBEEF) == header[10:20]


def test_spans_name_the_bytes_of_their_entry() -> None:
    layout = Layout(read_back(built([Entry("a", b"0123456789"), Entry("b", b"0123456789")])))
    at = layout.manifest.positions[1] - 4
    assert list(layout.cut(at, at + 2)) == [Span(0, 6, 8)]
    body = layout.manifest.positions[1] + len(
        records.local_header(b"b", size=10, crc=0, mtime=SOME_TIME, descriptor=False)
    )
    assert list(layout.cut(body + 3, body + 4)) == [Span(1, 3, 4)]


def test_an_archive_of_nothing_is_an_end_record() -> None:
    layout = Layout(read_back(ManifestBuilder()))
    assert layout.size == 22
    assert zipfile.ZipFile(io.BytesIO(archive_of([]))).infolist() == []


def test_a_byte_that_moves_needs_a_new_format_version() -> None:
    """Somebody may be in the middle of a download. If this fails, raise FORMAT_VERSION, and only then change this."""
    builder = ManifestBuilder()
    builder.add("plain.txt", Source("one", "plain.txt", '"e1"'), size=100, mtime=SOME_TIME)
    builder.add("\u00fc/known.bin", Source("two", "k", '"e2"', "v"), size=1 << 33, mtime=1 << 31, crc=0x12345678)
    builder.add("read ahead", Source("one", "r", '"e3"'), size=READ_AHEAD_BYTES, mtime=0)
    builder.add("late", Source("one", "l", '"e4"'), size=(8 << 20) + 1, mtime=SOME_TIME)
    builder.add_inline("folder/", b"", mtime=SOME_TIME)
    builder.add_inline("MISSING.txt", b"text", mtime=SOME_TIME)
    layout = Layout(read_back(builder))
    whole = pieces(layout, 0, layout.size)
    content = b"".join(piece if isinstance(piece, bytes) else repr(tuple(piece)).encode() for piece in whole)
    assert FORMAT_VERSION == 2
    assert READ_AHEAD_BYTES == 8 << 20
    assert layout.size == 8606712767
    assert layout.etag == '"3a73515c83e1de74b43698978c917d6fc87696802e611465dd497c5cc1ba800d"'
    assert hashlib.sha256(content).hexdigest() == "54fa37aa3a454774917e4c125eed947a4d399b3f81779ac38b479e0484b120fe"


def test_the_etag_is_strong_and_quoted() -> None:
    manifest = read_back(built([Entry("a", b"x")]))
    assert Layout(manifest).etag == f'"{manifest.digest()}"'
    assert Layout(manifest, "given").etag == '"given"'


SCRIPT = """
import time
from bucketzip.archive.layout import Layout
from tests.archive.rendering import built, mixed_entries, read_back
time.time = time.time_ns = time.localtime = None  # whoever asks for the time fails
print(Layout(read_back(built(mixed_entries(7, 50)))).etag)
"""


def test_the_etag_depends_on_no_clock_and_no_hash_seed() -> None:
    def run(seed: str, zone: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
        return subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    assert run("1", "UTC") == run("2", "NPT-05:45") == Layout(read_back(built(mixed_entries(7, 50)))).etag
