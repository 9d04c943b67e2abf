"""What goes into a manifest comes out of it and decides its digest; whatever is no manifest is refused as such."""

import io
import struct
from collections.abc import Sequence
from itertools import permutations
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive import records
from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import (
    FORMAT_VERSION,
    READ_AHEAD_BYTES,
    Manifest,
    ManifestBuilder,
    ManifestError,
    Source,
)
from bucketzip.plan.request import MAX_SOURCES

LATEST = 0xFFFF_FFFF
MAGIC = b"bucketzip manifest\r\n"
VERSION_AT = len(MAGIC)
HEAD_BYTES = len(MAGIC) + struct.calcsize("<IQQQ28Q")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


class Object(NamedTuple):
    name: str = "name.txt"
    bucket: str = "bucket"
    key: str = "key"
    etag: str = '"etag"'
    version_id: str = ""
    size: int = 10
    mtime: int = 1_700_000_000
    crc: int | None = None


class Inline(NamedTuple):
    name: str
    content: bytes
    mtime: int


SIZES = st.one_of(
    st.integers(0, 100),
    st.sampled_from([READ_AHEAD_BYTES, READ_AHEAD_BYTES + 1, LATEST - 1, LATEST, LATEST + 1]),
    st.integers(0, 1 << 50),
)
TIMES = st.one_of(st.integers(0, LATEST), st.integers(-(1 << 40), 1 << 40))
OBJECTS = st.builds(
    Object,
    name=TEXT,
    bucket=st.sampled_from(["one", "two", "three"]),
    key=TEXT,
    etag=TEXT,
    version_id=TEXT,
    size=SIZES,
    mtime=TIMES,
    crc=st.none() | st.integers(0, 0xFFFF_FFFF),
)
ENTRIES = st.lists(OBJECTS | st.builds(Inline, name=TEXT, content=st.binary(max_size=30), mtime=TIMES), max_size=30)


def write(entries: Sequence[Any], order: Sequence[int] | None = None) -> tuple[str, bytes]:
    builder = ManifestBuilder()
    for entry in entries:
        if isinstance(entry, Inline):
            builder.add_inline(entry.name, entry.content, mtime=entry.mtime)
        else:
            origin = Source(entry.bucket, entry.key, entry.etag, entry.version_id)
            builder.add(entry.name, origin, size=entry.size, mtime=entry.mtime, crc=entry.crc)
    if order is not None:
        builder.arrange(order)
    file = io.BytesIO()
    return builder.write(file), file.getvalue()


def digest(*entries: Object | Inline) -> str:
    return write(list(entries))[0]


@settings(deadline=None)
@given(ENTRIES)
def test_what_goes_in_comes_out(entries: list[Object | Inline]) -> None:
    written, raw = write(entries)
    manifest = Manifest(raw)
    assert len(manifest) == len(entries)
    assert manifest.digest() == written
    position = directory = 0
    for number, entry in enumerate(entries):
        assert manifest.name(number) == entry.name.encode()
        assert manifest.mtime(number) == max(0, min(entry.mtime, LATEST))
        if isinstance(entry, Inline):
            size = len(entry.content)
            crc: int | None = crc32(entry.content)
            assert manifest.source(number) == entry.content
        else:
            size = entry.size
            crc = entry.crc if entry.size else 0
            assert manifest.source(number) == Source(entry.bucket, entry.key, entry.etag, entry.version_id)
        late = crc is None and size > READ_AHEAD_BYTES
        assert manifest.sizes[number] == size
        assert manifest.crc(number) == crc
        assert manifest.late(number) == late
        assert manifest.positions[number] == position
        assert manifest.directory_at[number] == directory
        told: dict[str, Any] = {"size": size, "crc": 0, "mtime": manifest.mtime(number), "descriptor": late}
        directory += len(records.directory_record(manifest.name(number), header_at=position, **told))
        position += size + len(records.local_header(manifest.name(number), **told))
        position += len(records.descriptor(size=size, crc=0)) if late else 0
    assert manifest.content_bytes == position
    assert manifest.directory_bytes == directory


def test_what_was_learned_by_reading_is_known_and_decides_nothing() -> None:
    for size, late in ((READ_AHEAD_BYTES, False), (READ_AHEAD_BYTES + 1, True)):
        builder, learned = ManifestBuilder(), ManifestBuilder()
        source = Source("b", "k", '"e"')
        builder.add("a", source, size=size, mtime=0)
        learned.add("a", source, size=size, mtime=0, learned=7)
        file = io.BytesIO()
        assert learned.write(file) == builder.write(io.BytesIO())
        manifest = Manifest(file.getvalue())
        assert (manifest.crc(0), manifest.late(0)) == (7, late)


def test_what_s3_computed_later_is_as_if_it_had_been_told_at_once() -> None:
    builder, at_once = ManifestBuilder(), ManifestBuilder()
    for entry, size in enumerate([10, 9 << 20, 20 << 20, 5]):
        source = Source("b", f"{entry}", '"e"')
        builder.add(f"{entry}", source, size=size, mtime=0)
        at_once.add(f"{entry}", source, size=size, mtime=0, crc=7 if entry == 1 else None)
    builder.tell(1, 7)
    written, expected = io.BytesIO(), io.BytesIO()
    assert builder.write(written) == at_once.write(expected)
    assert written.getvalue() == expected.getvalue()


def test_content_that_s3_told_a_wrong_crc_of_makes_another_archive() -> None:
    """The one with the wrong CRC in it must have had another ETag."""
    digests = set()
    for size in (10, 9 << 20):
        for crc, reread in ((7, False), (None, True)):
            builder = ManifestBuilder()
            builder.add("a", Source("b", "k", '"e"'), size=size, mtime=0, crc=crc, reread=reread)
            digests.add(builder.write(io.BytesIO()))
    assert len(digests) == 4


def test_the_builder_tells_what_it_has() -> None:
    builder = ManifestBuilder()
    builder.add("a", Source("b", "k", '"e"'), size=100, mtime=0)
    builder.add_inline("b", b"bytes", mtime=0)
    assert (len(builder), list(builder.sizes)) == (2, [100, 5])


@settings(deadline=None)
@given(st.lists(OBJECTS, max_size=12), st.data())
def test_entries_lie_in_any_order_and_the_directory_keeps_its_own(entries: list[Object], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(entries))))
    written, raw = write(entries, order)
    manifest, plain = Manifest(raw), Manifest(write(entries)[1])
    assert manifest.digest() == written
    position = directory = 0
    for number in order:
        assert manifest.positions[number] == position
        position += length_of(plain, number)
    assert manifest.content_bytes == position == plain.content_bytes
    for number, entry in enumerate(entries):
        assert manifest.source(number) == plain.source(number)
        assert manifest.directory_at[number] == directory
        record = records.directory_record(
            manifest.name(number),
            size=entry.size,
            crc=0,
            mtime=manifest.mtime(number),
            descriptor=manifest.late(number),
            header_at=manifest.positions[number],
        )
        directory += len(record)
    assert manifest.directory_bytes == directory
    assert list(manifest.entries_from(0)) == list(order)


def length_of(manifest: Manifest, number: int) -> int:
    return [*manifest.positions, manifest.content_bytes][number + 1] - manifest.positions[number]


def test_the_order_in_which_entries_lie_decides_the_digest() -> None:
    entries = [Object("a"), Object("b"), Object("c")]
    assert len({write(entries, order)[0] for order in permutations(range(3))}) == 6
    assert write(entries, [0, 1, 2]) == write(entries, range(3)) == write(entries)


@pytest.mark.parametrize("order", [[], [0], [0, 0], [0, 2], [1, 2], [0, 1, 1], [-1, 0]])
def test_an_order_names_each_entry_once(order: list[int]) -> None:
    with pytest.raises(ValueError, match="no order of 2 entries"):
        write([Object("a"), Object("b")], order)


def test_without_descriptors_every_crc_stands_in_the_header() -> None:
    builder = ManifestBuilder(descriptors=False)
    builder.add("a", Source("b", "k", '"e"'), size=1 << 40, mtime=0)
    file = io.BytesIO()
    builder.write(file)
    assert not Manifest(file.getvalue()).late(0)


@pytest.mark.parametrize(
    ("size", "crc", "late"),
    [
        (READ_AHEAD_BYTES, None, False),
        (READ_AHEAD_BYTES, 1, False),
        (READ_AHEAD_BYTES + 1, None, True),
        (READ_AHEAD_BYTES + 1, 0, False),  # 0 is a CRC like any other
        (0, None, False),
    ],
)
def test_only_a_large_entry_of_unknown_crc_has_a_descriptor(size: int, crc: int | None, late: bool) -> None:  # noqa: FBT001
    manifest = Manifest(write([Object(size=size, crc=crc)])[1])
    assert manifest.late(0) is late


def test_an_empty_objects_crc_is_known() -> None:
    assert Manifest(write([Object(size=0, crc=None)])[1]).crc(0) == 0


@pytest.mark.parametrize(
    ("mtime", "kept"),
    [(-1, 0), (-(1 << 70), 0), (0, 0), (LATEST, LATEST), (LATEST + 1, LATEST), (1 << 70, LATEST)],
)
def test_a_time_beyond_its_column_is_the_nearest_that_fits(mtime: int, kept: int) -> None:
    assert Manifest(write([Object(mtime=mtime)])[1]).mtime(0) == kept
    assert Manifest(write([Inline("a/", b"", mtime)])[1]).mtime(0) == kept
    assert digest(Object(mtime=mtime)) == digest(Object(mtime=kept))


CHANGES = [
    ("name", "name.txu"),
    ("name", "name.tx"),
    ("bucket", "bucket2"),
    ("key", "key2"),
    ("etag", '"etag2"'),
    ("version_id", "2"),
    ("size", 11),
    ("size", READ_AHEAD_BYTES + 1),
    ("mtime", 1_700_000_001),
]


@pytest.mark.parametrize(("field", "value"), CHANGES, ids=[f"{field}={value}" for field, value in CHANGES])
def test_every_field_decides_the_digest(field: str, value: Any) -> None:
    first, last = Object("first"), Object("last")
    changed = Object()._replace(**{field: value})
    assert digest(first, changed, last) != digest(first, Object(), last)


def test_fields_do_not_run_into_each_other() -> None:
    ones = [
        Object(name="a", key="bc"),
        Object(name="ab", key="c"),
        Object(key="kv", version_id=""),
        Object(key="k", version_id="v"),
        Object(etag="e", version_id="ev"),
        Object(etag="ee", version_id="v"),
    ]
    assert len({digest(one) for one in ones}) == len(ones)
    assert digest(Object("ab"), Object("c")) != digest(Object("a"), Object("bc"))
    assert digest(Inline("a", b"x", 0), Inline("b", b"", 0)) != digest(Inline("a", b"", 0), Inline("b", b"x", 0))


def test_the_order_of_entries_decides_the_digest() -> None:
    assert digest(Object("a"), Object("b")) != digest(Object("b"), Object("a"))


def test_the_order_of_buckets_and_their_number_decide_the_digest() -> None:
    assert digest(Object("a", "one"), Object("b", "two")) != digest(Object("a", "two"), Object("b", "one"))
    assert digest(Object("a", "one"), Object("b", "two")) != digest(Object("a", "one"), Object("b", "one"))


def test_inline_bytes_decide_the_digest() -> None:
    assert digest(Inline("a", b"x", 0)) != digest(Inline("a", b"y", 0))
    assert digest(Inline("a", b"key", 0)) != digest(Object("a", "bucket", "key", "", "", 3, 0))


def test_a_crc_that_moves_no_byte_does_not_decide_the_digest() -> None:
    """A small entry's header has its CRC in any case: it is in the content, which the ETag pins."""
    assert digest(Object(crc=None)) == digest(Object(crc=0)) == digest(Object(crc=123))


def test_a_crc_that_decides_the_form_decides_the_digest() -> None:
    large = Object(size=READ_AHEAD_BYTES + 1)
    known = digest(large._replace(crc=1))
    assert known != digest(large)
    assert known == digest(large._replace(crc=2))


def test_another_release_of_the_format_has_other_digests() -> None:
    _, raw = write([Object()])
    assert struct.unpack_from("<I", raw, VERSION_AT)[0] == FORMAT_VERSION
    manifest = Manifest(raw)
    before = manifest.digest()
    manifest._head = raw[:VERSION_AT] + struct.pack("<I", FORMAT_VERSION + 1) + raw[VERSION_AT + 4 : HEAD_BYTES]
    assert manifest.digest() != before


@settings(deadline=None)
@given(ENTRIES)
def test_the_same_entries_are_the_same_file(entries: list[Object | Inline]) -> None:
    assert write(entries) == write(list(entries))


def test_a_mapped_file_works_like_bytes(tmp_path: Path) -> None:
    entries = [Object(f"{number}.txt", f"b{number % 3}", size=number, crc=number) for number in range(1000)]
    written, raw = write(entries)
    path = tmp_path / "manifest"
    path.write_bytes(raw)
    with path.open("rb") as file:
        mapped = Manifest(mmap(file.fileno(), 0, access=ACCESS_READ))
    plain = Manifest(raw)
    assert mapped.digest() == written
    for number in range(len(entries)):
        for tell in (Manifest.name, Manifest.source, Manifest.crc, Manifest.mtime, Manifest.late):
            assert tell(mapped, number) == tell(plain, number)
    assert list(mapped.positions) == list(plain.positions)


@settings(deadline=None)
@given(ENTRIES.filter(bool), st.data())
def test_an_entry_is_found_by_a_byte_of_it(entries: list[Object | Inline], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(entries))))
    manifest = Manifest(write(entries, order)[1])
    position = data.draw(st.integers(0, manifest.content_bytes - 1))
    found, *behind = manifest.entries_from(position)
    assert manifest.positions[found] <= position
    assert position < (manifest.positions[behind[0]] if behind else manifest.content_bytes)
    assert [found, *behind] == order[order.index(found) :]
    offset = data.draw(st.integers(0, manifest.directory_bytes - 1))
    found = manifest.record_at(offset)
    assert manifest.directory_at[found] <= offset < [*manifest.directory_at, manifest.directory_bytes][found + 1]


_, SOUND = write([Object("a.txt"), Object("b.txt", "other"), Inline("c/", b"", 5), Inline("d", b"inline", 5)])


def test_a_manifest_cut_short_is_refused_wherever_it_is_cut() -> None:
    for length in range(len(SOUND)):
        with pytest.raises(ManifestError):
            Manifest(SOUND[:length])


@pytest.mark.parametrize("newer", [0, FORMAT_VERSION + 1, LATEST])
def test_another_format_is_refused_by_its_number(newer: int) -> None:
    raw = SOUND[:VERSION_AT] + struct.pack("<I", newer) + SOUND[VERSION_AT + 4 :]
    with pytest.raises(ManifestError, match=f"format {newer}, this release reads {FORMAT_VERSION}"):
        Manifest(raw)


@given(st.binary(max_size=1000))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest(garbage)


@settings(deadline=None)
@given(st.binary(min_size=HEAD_BYTES, max_size=1000))
def test_garbage_behind_the_magic_is_refused(garbage: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest(MAGIC + struct.pack("<I", FORMAT_VERSION) + garbage)


NUMBERS = st.sampled_from([0, 1, 7, 8, 255, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])


@settings(deadline=None, max_examples=250)
@given(
    st.lists(st.tuples(st.integers(0, 30), NUMBERS | st.integers(0, 2000)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=3),
)
def test_a_damaged_head_is_refused_or_read_but_raises_nothing_else(
    numbers: list[tuple[int, int]], places: list[tuple[int, int]]
) -> None:
    raw = bytearray(SOUND)
    for number, value in numbers:
        struct.pack_into("<Q", raw, VERSION_AT + 4 + 8 * number, value)
    for place, value in places:
        raw[place] = value
    try:
        Manifest(raw)
    except ManifestError:
        return


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, (1 << 64) - 1))
def test_a_section_elsewhere_or_of_another_length_is_refused(number: int, value: int) -> None:
    """The table of sections says nothing that does not follow from the lengths; so none can be changed alone."""
    at = VERSION_AT + 4 + 8 * number
    old = struct.unpack_from("<Q", SOUND, at)[0]
    raw = bytearray(SOUND)
    struct.pack_into("<Q", raw, at, value)
    blob_lengths = {4 + 2 * section for section in (9, 10, 11)}
    if number <= 2 or value == old or number in blob_lengths:
        return  # the two sums, nothing changed, or a length that may end within the padding
    with pytest.raises(ManifestError):
        Manifest(raw)


def test_an_order_of_some_of_the_entries_is_refused() -> None:
    """Its length is nothing or that of a column; here the table is changed as a whole, and agrees with itself."""
    raw = bytearray(SOUND)
    table_at = VERSION_AT + 4 + 24
    order_at, order_bytes = struct.unpack_from("<QQ", SOUND, table_at + 16 * 8)
    assert order_bytes == 0
    struct.pack_into("<QQ", raw, table_at + 16 * 8, order_at, 8)
    for section in range(9, 14):
        (start,) = struct.unpack_from("<Q", SOUND, table_at + 16 * section)
        struct.pack_into("<Q", raw, table_at + 16 * section, start + 8)
    with pytest.raises(ManifestError, match="damaged"):
        Manifest(raw + bytes(8))


def test_a_bucket_that_is_no_text_is_not_found_instead_of_breaking_the_reader() -> None:
    raw = SOUND.replace(b"bucket\nother", b"\xff\xfecket\nother")
    assert raw != SOUND
    assert Manifest(raw).digest() != Manifest(SOUND).digest()


def test_a_request_never_has_more_buckets_than_the_column_takes() -> None:
    assert MAX_SOURCES < 0xFFFF
