"""The parts of an archive are all of it, keep every limit of S3, and let S3 copy what it can."""

import io
import random
import time
import zipfile
from collections.abc import Callable, Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bucketzip.archive.arrange import arrange
from bucketzip.archive.crc import crc32
from bucketzip.archive.layout import Layout
from bucketzip.archive.limits import AWS, Limits
from bucketzip.archive.manifest import ManifestBuilder
from bucketzip.archive.parts import ArchiveTooLarge, Kind, Part, Requests, bytes_through_host, plan_parts, requests
from bucketzip.archive.pieces import Pieces, joined
from bucketzip.archive.segments import Span
from tests.archive.rendering import SOME_TIME, Entry, built, laid_out, read_back, slice_of_bytes, source

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
HEADER_BYTES = 44  # of `laid_out` entries

MayCopy = Callable[[int], bool]


def always(entry: int) -> bool:
    return True


def never(entry: int) -> bool:
    return False


def every_other(entry: int) -> bool:
    return entry % 2 == 0


PERMISSIONS = st.sampled_from([always, never, every_other])

SIZES = st.lists(
    st.sampled_from([0, 1, 100 * KIB, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB - 1, 10 * MIB, 16 * MIB, 23 * MIB])
    | st.sampled_from([GIB, GIB + 5 * MIB, 5 * GIB, 5 * GIB + 1, 17 * GIB + 7, 300 * GIB])
    | st.integers(0, 12 * MIB)
    | st.integers(0, 100 * MIB),
    max_size=30,
)
# The same with small numbers, so that parts are too few and too short. A header has some 45 bytes.
SMALL_SIZES = st.lists(
    st.sampled_from([0, 99, 100, 101, 199, 200, 400, 999, 1000, 2000]) | st.integers(0, 300) | st.integers(0, 5000),
    max_size=40,
)


@st.composite
def small_limits(draw: st.DrawFn) -> Limits:
    least = draw(st.sampled_from([1, 50, 100]))
    built, copied = draw(st.integers(2 * least, 800)), draw(st.integers(2 * least, 800))
    most = draw(st.integers(max(built, copied), 1600))
    return Limits(
        most_parts=draw(st.integers(1, 40)), least_bytes=least, most_bytes=most, built_bytes=built, copied_bytes=copied
    )


def planned(layout: Layout, may_copy: MayCopy, limits: Limits) -> list[Part]:
    try:
        return plan_parts(layout, may_copy=may_copy, limits=limits)
    except ArchiveTooLarge:
        assume(False)  # noqa: FBT003  -- hypothesis has it so
        raise


def assert_whole_and_within(limits: Limits, layout: Layout, parts: Sequence[Part], may_copy: MayCopy) -> None:
    assert 1 <= len(parts) <= limits.most_parts
    assert [0, *(part.stop for part in parts)] == [*(part.start for part in parts), layout.size]
    sizes = layout.manifest.sizes
    for part in parts:
        assert part.length == part.stop - part.start
        assert part.length >= limits.least_bytes or part is parts[-1]
        assert 0 < part.length <= limits.most_bytes
        assert (part.kind is Kind.DIRECTORY) == (part.stop > layout.manifest.content_bytes)
        assert (part.kind in {Kind.COPIED, Kind.CONTENT}) == (part.content is not None)
        if part.content is not None:
            entry, start, stop = part.content
            assert list(layout.cut(part.start, part.stop)) == [part.content]
            assert may_copy(entry) == (part.kind is Kind.COPIED)
            assert (start, stop) == (0, sizes[entry]) or sizes[entry] > limits.least_bytes


@settings(deadline=None, max_examples=60)
@given(SIZES, PERMISSIONS)
def test_parts_are_the_archive_and_keep_the_limits(sizes: list[int], may_copy: MayCopy) -> None:
    layout = laid_out(sizes, arrange(sizes))
    parts = plan_parts(layout, may_copy=may_copy)
    assert_whole_and_within(AWS, layout, parts, may_copy)
    assert parts == plan_parts(layout, may_copy=may_copy)
    if layout.size // AWS.built_bytes + 2 * len(sizes) < AWS.most_parts:
        assert max(part.length for part in parts if part.kind is not Kind.COPIED) <= 2 * AWS.built_bytes
        assert max(part.length for part in parts) <= AWS.copied_bytes


@settings(deadline=None, max_examples=300)
@given(SMALL_SIZES, PERMISSIONS, small_limits())
def test_limits_are_kept_however_narrow(sizes: list[int], may_copy: MayCopy, limits: Limits) -> None:
    layout = laid_out(sizes, arrange(sizes, limits))
    if layout.size > limits.most_parts * limits.most_bytes:
        with pytest.raises(ArchiveTooLarge, match=rf"{layout.size:,} bytes.*{limits.most_parts:,} parts of"):
            plan_parts(layout, may_copy=may_copy, limits=limits)
    else:
        assert_whole_and_within(limits, layout, plan_parts(layout, may_copy=may_copy, limits=limits), may_copy)


@settings(deadline=None)
@given(SIZES)
def test_little_passes_through_the_host(sizes: list[int]) -> None:
    """Never more than the records, entries under 10 MiB, and 5 MiB of each larger one."""
    layout = laid_out(sizes, arrange(sizes))
    records_bytes = layout.size - sum(sizes)
    most = sum(size if size < 10 * MIB else 5 * MIB for size in sizes)
    assert bytes_through_host(plan_parts(layout, may_copy=always)) <= most + records_bytes


@settings(deadline=None, max_examples=60)
@given(SIZES, PERMISSIONS)
def test_only_content_parts_are_waited_for(sizes: list[int], may_copy: MayCopy) -> None:
    layout = laid_out(sizes, arrange(sizes))
    parts = plan_parts(layout, may_copy=may_copy)
    apart = {part.content.entry for part in parts if part.content is not None}
    for part in parts:
        waits_for = set(layout.told_elsewhere(part.start, part.stop))
        if part.kind is Kind.MIXED:
            assert waits_for <= apart, "an entry that has no parts of its own is cut"
        elif part.kind is not Kind.DIRECTORY:
            assert not waits_for


@settings(deadline=None)
@given(SIZES.filter(bool))
def test_the_directory_is_in_the_users_order(sizes: list[int]) -> None:
    manifest = laid_out(sizes, arrange(sizes)).manifest
    assert list(manifest.directory_at) == sorted(manifest.directory_at)
    assert [manifest.name(entry) for entry in range(len(sizes))] == [b"%d.bin" % entry for entry in range(len(sizes))]


class Upload:
    """Makes the bytes of all parts as a job does: by kind, and with no CRC but those that parts tell."""

    def __init__(self, entries: Sequence[Entry], layout: Layout, parts: Sequence[Part], seed: int) -> None:
        self._entries = entries
        self._layout = layout
        self._pieces = Pieces(layout.manifest.sizes)
        self._crcs: dict[int, int] = {}
        self.read_beforehand: set[int] = set()
        numbers = list(range(len(parts)))
        random.Random(seed).shuffle(numbers)
        numbers.sort(key=lambda number: (parts[number].kind, parts[number].kind is Kind.DIRECTORY and number))
        made = {number: self._make(parts[number]) for number in numbers}
        self.content = b"".join(made[number] for number in range(len(parts)))
        self.crc = joined((crc32(made[number]), part.length) for number, part in enumerate(parts))

    def _make(self, part: Part) -> bytes:
        for segment in self._layout.cut(part.start, part.stop):
            if isinstance(segment, Span):
                content = self._entries[segment.entry].content[segment.start : segment.stop]
                crc = self._pieces.add(segment, crc32(content))
                if crc is not None:
                    self._crcs[segment.entry] = crc
        for entry in self._layout.told_elsewhere(part.start, part.stop):
            if entry not in self._crcs:
                self.read_beforehand.add(entry)
                self._crcs[entry] = crc32(self._entries[entry].content)
        return slice_of_bytes(self._layout, self._entries, part.start, part.stop, self._crcs.__getitem__)


@settings(deadline=None)
@given(SMALL_SIZES, small_limits(), st.integers(0, 99))
def test_copied_and_built_archives_have_the_same_bytes(sizes: list[int], limits: Limits, seed: int) -> None:
    rng = random.Random(seed)
    entries = [Entry(f"{number}", rng.randbytes(size), crc_known=False) for number, size in enumerate(sizes)]
    builder = built(entries, descriptors=False)
    builder.arrange(arrange(builder.sizes, limits))
    layout = Layout(read_back(builder))
    uploads = [
        Upload(entries, layout, planned(layout, may_copy, limits), seed) for may_copy in (always, never, every_other)
    ]
    (content,) = {upload.content for upload in uploads}
    assert {upload.crc for upload in uploads} == {crc32(content)}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == [entry.name for entry in entries]
        assert [archive.read(entry.name) for entry in entries] == [entry.content for entry in entries]


@pytest.mark.parametrize("may_copy", [always, never, every_other])
def test_no_entry_is_read_twice_where_parts_are_enough(may_copy: MayCopy) -> None:
    limits = Limits(most_parts=10_000, least_bytes=500, most_bytes=50_000, built_bytes=1600, copied_bytes=5000)
    rng = random.Random(3)
    entries = [
        Entry(f"{number}", rng.randbytes(rng.choice([0, 9, 100, 600, 900, 1100, 4000, 30_000])), crc_known=False)
        for number in range(300)
    ]
    builder = built(entries, descriptors=False)
    builder.arrange(arrange(builder.sizes, limits))
    layout = Layout(read_back(builder))
    parts = plan_parts(layout, may_copy=may_copy, limits=limits)
    assert {part.kind for part in parts} >= {Kind.MIXED, Kind.DIRECTORY}
    assert Upload(entries, layout, parts, 0).read_beforehand == set()


def test_large_objects_pass_by() -> None:
    layout = laid_out([GIB] * 4)
    parts = plan_parts(layout, may_copy=always)
    assert bytes_through_host(parts) < 0.01 * layout.size
    assert [part.kind.name for part in parts] == ["MIXED", "COPIED"] * 4 + ["DIRECTORY"]
    assert [part.length for part in parts[:-1:2]] == [5 * MIB] * 4
    assert requests(layout, parts) == Requests(copies=4, uploads=5, reads=4)


def test_of_16_mib_objects_a_third_passes_through() -> None:
    layout = laid_out([16 * MIB] * 200)
    parts = plan_parts(layout, may_copy=always)
    assert bytes_through_host(parts) == 200 * 5 * MIB + (layout.size - layout.manifest.content_bytes)
    assert requests(layout, parts) == Requests(copies=200, uploads=201, reads=200)


def test_small_objects_are_built() -> None:
    layout = laid_out([100 * KIB] * 5000)
    parts = plan_parts(layout, may_copy=always)
    assert bytes_through_host(parts) == layout.size
    assert requests(layout, parts) == Requests(copies=0, uploads=32, reads=5000)
    starts = {*layout.manifest.positions, layout.manifest.content_bytes}
    assert all(part.start in starts for part in parts), "each starts with an entry, but for the directory"


def test_without_copies_large_bodies_have_parts_of_their_own() -> None:
    layout = laid_out([GIB, 22 * MIB, 22 * MIB - 100, KIB])
    parts = plan_parts(layout, may_copy=never)
    assert [part.kind.name for part in parts if part.kind is not Kind.CONTENT] == ["MIXED"] * 3 + ["DIRECTORY"]
    lengths = [part.length for part in parts if part.kind is Kind.CONTENT]
    assert sum(lengths) == GIB + 22 * MIB - 10 * MIB + 2 * HEADER_BYTES
    assert max(lengths) <= 16 * MIB
    assert requests(layout, parts) == Requests(copies=0, uploads=len(parts), reads=128 + 3 + 3 + 1)


def test_built_parts_are_of_whole_entries() -> None:
    layout = laid_out([20 * MIB] * 50)
    parts = plan_parts(layout, may_copy=never)
    assert [part.start for part in parts] == [*layout.manifest.positions, layout.manifest.content_bytes]


def test_the_directory_is_alone_as_it_waits_for_all_the_rest() -> None:
    for sizes in [100 * KIB] * 500, [GIB, 9 * MIB]:
        layout = laid_out(sizes)
        *_, last = plan_parts(layout, may_copy=always)
        assert (last.kind, last.start) == (Kind.DIRECTORY, layout.manifest.content_bytes)


def test_a_long_directory_is_cut_as_evenly_as_all_the_rest() -> None:
    layout = laid_out([100] * 300_000)
    parts = plan_parts(layout, may_copy=always)
    assert [part.kind for part in parts].count(Kind.DIRECTORY) > 1
    assert max(part.length for part in parts) <= 1.01 * AWS.built_bytes


def test_the_directory_takes_no_part_that_there_is_not() -> None:
    layout = laid_out([100 * MIB] * 10)
    limits = Limits(most_parts=10, most_bytes=105 * MIB, built_bytes=105 * MIB, copied_bytes=105 * MIB)
    parts = plan_parts(layout, may_copy=never, limits=limits)
    assert_whole_and_within(limits, layout, parts, never)
    assert len(parts) == 10


def test_an_archive_of_a_few_bytes_is_one_part() -> None:
    layout = laid_out([])
    assert plan_parts(layout, may_copy=always) == [Part(Kind.DIRECTORY, 0, 22)]
    layout = laid_out([9 * MIB])
    assert plan_parts(layout, may_copy=always) == [Part(Kind.DIRECTORY, 0, layout.size)]


@pytest.mark.parametrize(
    ("sizes", "copied"),
    [
        ([5 * MIB - HEADER_BYTES, 5 * MIB], [Span(1, 0, 5 * MIB)]),
        ([5 * MIB - HEADER_BYTES, 5 * MIB - 1], []),
        ([5 * MIB - 2 * HEADER_BYTES, 5 * MIB], [Span(1, 0, 5 * MIB)]),
        ([5 * MIB - 2 * HEADER_BYTES - 1, 5 * MIB], []),
        ([5 * MIB - 2 * HEADER_BYTES - 1, 5 * MIB + 1], [Span(1, 1, 5 * MIB + 1)]),
        ([3 * MIB, 7 * MIB], [Span(1, 2 * MIB - 2 * HEADER_BYTES, 7 * MIB)]),
        ([10 * MIB - HEADER_BYTES], [Span(0, 5 * MIB - HEADER_BYTES, 10 * MIB - HEADER_BYTES)]),
        ([10 * MIB - HEADER_BYTES - 1], []),
    ],
)
def test_a_body_is_copied_if_5_mib_are_built_in_front_and_5_mib_are_left(sizes: list[int], copied: list[Span]) -> None:
    parts = plan_parts(laid_out(sizes), may_copy=always)
    assert [part.content for part in parts if part.kind is Kind.COPIED] == copied


def test_an_object_over_5_gib_is_copied_in_ranges_of_the_same_length() -> None:
    parts = plan_parts(laid_out([11 * GIB]), may_copy=always)
    lengths = [part.length for part in parts if part.kind is Kind.COPIED]
    assert len(lengths) == 11
    assert max(lengths) - min(lengths) <= 1


def test_bytes_that_the_manifest_holds_are_not_copied() -> None:
    builder = ManifestBuilder(descriptors=False)
    builder.add_inline("MISSING.txt", bytes(20 * MIB), mtime=SOME_TIME)
    builder.add("a", source(), size=20 * MIB, mtime=SOME_TIME)
    parts = plan_parts(Layout(read_back(builder)), may_copy=always)
    assert [part.content for part in parts if part.kind is Kind.COPIED] == [Span(1, 0, 20 * MIB)]


def test_with_more_objects_than_parts_the_largest_are_copied() -> None:
    sizes = [GIB] * 4900 + [16 * MIB] * 15_000
    random.Random(0).shuffle(sizes)
    layout = laid_out(sizes, arrange(sizes))
    parts = plan_parts(layout, may_copy=always)
    assert_whole_and_within(AWS, layout, parts, always)
    assert {entry for entry, size in enumerate(sizes) if size == GIB} <= {
        part.content.entry for part in parts if part.content is not None
    }
    assert bytes_through_host(parts) < 15_000 * 16 * MIB + 4900 * 5 * MIB


def test_with_more_equal_objects_than_parts_those_copied_lie_evenly() -> None:
    layout = laid_out([16 * MIB] * 20_000)
    parts = plan_parts(layout, may_copy=always)
    assert_whole_and_within(AWS, layout, parts, always)
    assert sum(part.kind is Kind.COPIED for part in parts) > 4900
    assert max(part.length for part in parts) < 150 * MIB, "3 built for each that is copied, where they lie evenly"


@pytest.mark.parametrize(
    ("sizes", "longest"), [([9000 * GIB], GIB), ([15 * 1024 * GIB], 2 * GIB), ([4 << 40] * 12, 5 * GIB)]
)
def test_copied_ranges_grow_with_the_archive(sizes: list[int], longest: int) -> None:
    layout = laid_out(sizes)
    parts = plan_parts(layout, may_copy=always)
    assert_whole_and_within(AWS, layout, parts, always)
    assert 0.7 * longest < max(part.length for part in parts) <= longest
    assert bytes_through_host(parts) < 61 * MIB


def test_parts_grow_until_an_archive_of_the_most_bytes_fits() -> None:
    overhead = laid_out([40 << 40]).size - (40 << 40)
    layout = laid_out([AWS.most_archive_bytes - overhead])
    assert layout.size == 10_000 * 5 * GIB
    parts = plan_parts(layout, may_copy=never)
    assert {part.length for part in parts} == {5 * GIB}
    with pytest.raises(ArchiveTooLarge, match=r"53,687,091,200,001 bytes.* 53,687,091,200,000: 10,000 parts of 5,368,"):
        plan_parts(laid_out([AWS.most_archive_bytes - overhead + 1]), may_copy=never)


@pytest.mark.parametrize(
    "limits",
    [
        {"least_bytes": 0},
        {"most_parts": 0},
        {"built_bytes": 10 * MIB - 1},
        {"copied_bytes": 10 * MIB - 1},
        {"copied_bytes": 5 * GIB + 1},
        {"most_bytes": GIB - 1},
    ],
)
def test_limits_that_no_parts_keep_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no upload can keep to"):
        Limits(**limits)


def test_parts_of_many_entries_take_little_time() -> None:
    layout = laid_out([10 * KIB] * 50_000 + [20 * MIB] * 5000)
    began = time.process_time()
    parts = plan_parts(layout, may_copy=always)
    assert requests(layout, parts).copies == 4999
    assert time.process_time() - began < 2
