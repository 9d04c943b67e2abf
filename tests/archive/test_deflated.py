"""Archives with compressed entries: every reader opens them, and they say of each entry what is so."""

import random
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive.crc import crc32
from bucketzip.archive.deflate import BLOCK_BYTES, bound
from bucketzip.archive.deflated import Block, Compression, DeflatedArchive
from bucketzip.archive.manifest import ManifestBuilder
from bucketzip.archive.walked import Way
from tests.archive.compressing import compressed_archive_of
from tests.archive.rendering import SOME_TIME, Entry, read_back, source
from tests.archive.test_opens_everywhere import KINDS, content_of
from tests.readers.readers import ArchiveReaders

RANDOM = random.Random(0).randbytes(2 * BLOCK_BYTES + 100)
TEXT = b"".join(b"line %d of a log that goes on and on\n" % number for number in range(20_000))
assert len(TEXT) > 2 * BLOCK_BYTES
DESCRIPTOR = 1 << 3
STORED, DEFLATED = 0, 8

FAST, AUTO, STRONG = Compression(1), Compression(3, auto=True), Compression(6)

MIXED = [
    Entry("empty"),
    Entry("one byte", b"x"),
    Entry("folder/", inline=True),
    Entry("folder/small.txt", TEXT[:2000], crc_known=False),
    Entry("folder/short random", RANDOM[:2000], crc_known=False),
    Entry("exactly a block.txt", TEXT[:BLOCK_BYTES], crc_known=False),
    Entry("a block and a byte.txt", TEXT[: BLOCK_BYTES + 1], crc_known=False),
    Entry("two blocks.txt", TEXT[: 2 * BLOCK_BYTES], crc_known=False),
    Entry("large.txt", TEXT, crc_known=False),
    Entry("known.txt", TEXT),
    Entry("photo.jpg", RANDOM, crc_known=False),
    Entry("known photo.jpg", RANDOM),
    Entry("small photo.jpg", RANDOM[:5000], crc_known=False),
    Entry("text that is called photo.jpg", TEXT, crc_known=False),
    Entry("random", RANDOM, crc_known=False),
    Entry("known random", RANDOM),
    Entry("zeros", bytes(3 * BLOCK_BYTES), crc_known=False),
    Entry("text, then random", TEXT[:BLOCK_BYTES] + RANDOM, crc_known=False),
    Entry("\u00fc \u65e5\u672c.txt", TEXT, crc_known=False),
    Entry("signatures", b"PK\x03\x04PK\x07\x08PK\x01\x02PK\x05\x06" * 40_000, crc_known=False),
    Entry("MISSING.txt", b"s3://b/k\n" * 40_000, inline=True),
]


def infos(archive: bytes) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        return {info.filename: info for info in opened.infolist()}


@pytest.mark.parametrize("compression", [FAST, AUTO, STRONG])
def test_mixed_archives_open_everywhere(
    compression: Compression, tmp_path: Path, archive_readers: ArchiveReaders
) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(compressed_archive_of(MIXED, compression))
    archive_readers.assert_opens_everywhere(path, content_of(MIXED), java_stream=True)


def test_names_times_and_folders_are_those_of_a_stored_archive(tmp_path: Path, archive_readers: ArchiveReaders) -> None:
    entries = {entry.name: entry for kind in KINDS.values() for entry in kind if entry.name != "d/" * 500}
    path = tmp_path / "archive.zip"
    path.write_bytes(compressed_archive_of([*entries.values()], FAST))
    archive_readers.assert_opens_everywhere(path, content_of([*entries.values()]), java_stream=True)


def test_an_empty_archive_of_folders_opens_everywhere(tmp_path: Path, archive_readers: ArchiveReaders) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(compressed_archive_of([Entry("empty/", inline=True)], AUTO))
    archive_readers.assert_opens_everywhere(path, {"empty/": b""}, java_stream=True)


def test_what_fits_into_a_block_has_its_crc_and_sizes_in_the_header() -> None:
    for entry in MIXED:
        archive = compressed_archive_of([entry], FAST)
        info = infos(archive)[entry.name]
        flags, method = (int.from_bytes(archive[at : at + 2], "little") for at in (6, 8))
        crc, compressed, size = (int.from_bytes(archive[at : at + 4], "little") for at in (14, 18, 22))
        assert (flags, method) == (info.flag_bits, info.compress_type)
        if len(entry.content) <= BLOCK_BYTES:
            assert (flags & DESCRIPTOR, crc, compressed, size) == (0, info.CRC, info.compress_size, info.file_size)
        else:
            assert (flags & DESCRIPTOR, crc, compressed, size) == (DESCRIPTOR, 0, 0, 0)


def test_what_does_not_shrink_is_stored_or_hardly_grows() -> None:
    for compression in (FAST, AUTO):
        for name, info in infos(compressed_archive_of(MIXED, compression)).items():
            assert info.compress_size <= bound(info.file_size)
            if info.file_size <= BLOCK_BYTES:
                assert info.compress_size <= info.file_size, name
                assert (info.compress_type == STORED) == (info.compress_size == info.file_size), name


def test_auto_compresses_what_is_worth_it() -> None:
    found = infos(compressed_archive_of(MIXED, AUTO))
    stored = {name for name, info in found.items() if info.compress_type == STORED}
    assert stored == {
        "empty",
        "one byte",
        "folder/",
        "folder/short random",
        "known photo.jpg",
        "small photo.jpg",
        "known random",
    }
    wrapped = {name for name, info in found.items() if info.compress_size > info.file_size}
    assert wrapped == {"photo.jpg", "text that is called photo.jpg", "random"}
    everything = infos(compressed_archive_of(MIXED, FAST))
    assert everything["text that is called photo.jpg"].compress_size < len(TEXT) // 4


def test_what_was_learned_decides_nothing() -> None:
    """Only what S3 tells everybody does: else an archive would differ from one that was made before it."""
    builder = ManifestBuilder(read_ahead_bytes=BLOCK_BYTES)
    crc = crc32(RANDOM)
    builder.add("S3 told it", source(), size=len(RANDOM), mtime=SOME_TIME, crc=crc)
    builder.add("it was learned", source(), size=len(RANDOM), mtime=SOME_TIME, learned=crc)
    builder.add("nobody knows", source(), size=len(RANDOM), mtime=SOME_TIME)
    archive = DeflatedArchive(read_back(builder), lambda *_: None, AUTO)
    ways = {block.entry: block.way for block in archive.feed(3 * RANDOM)}
    assert ways == {0: Way.STORE, 1: Way.WRAP, 2: Way.WRAP}


@given(st.lists(st.integers(5_000, 400_000), min_size=1, max_size=5), st.sampled_from([FAST, AUTO]))
@settings(max_examples=20, deadline=None)
def test_the_bytes_do_not_depend_on_how_content_comes(lengths: list[int], compression: Compression) -> None:
    entries = [entry for entry in MIXED if entry.name in {"a block and a byte.txt", "photo.jpg", "text, then random"}]
    assert compressed_archive_of(entries, compression, lengths) == compressed_archive_of(entries, compression)


def test_hundreds_of_small_entries_open(tmp_path: Path, archive_readers: ArchiveReaders) -> None:
    entries = [Entry(f"{number % 40}/{number}.txt", b"%d " % number * 20, crc_known=False) for number in range(400)]
    path = tmp_path / "archive.zip"
    path.write_bytes(compressed_archive_of(entries, FAST))
    archive_readers.assert_opens_everywhere(path, content_of(entries), java_stream=True)


@pytest.mark.parametrize(("size", "zip64"), [((1 << 32) - 500_000, False), ((1 << 32) - 2, True), (5 << 30, True)])
def test_what_may_become_longer_than_4_gib_has_zip64(size: int, zip64: bool) -> None:  # noqa: FBT001  -- a parameter
    """By its first and last block alone. The most that it can become decides, since the header comes first."""
    builder = ManifestBuilder()
    builder.add("large.bin", source(), size=size, mtime=SOME_TIME, crc=7)
    archive = DeflatedArchive(read_back(builder), lambda *_: None, FAST)
    first = Block(0, 0, b"a" * BLOCK_BYTES, Way.DEFLATE, 1, b"", last=False)
    last = Block(0, size - 1, b"a", Way.DEFLATE, 1, b"", last=True)
    crc = crc32(first.data + last.data)
    pieces = [*archive.encoded(first, first.encode()), *archive.encoded(last, last.encode())]
    header, descriptor = pieces[0], pieces[-1]
    with zipfile.ZipFile(BytesIO(b"".join([*pieces, *archive.directory()]))) as opened:
        (info,) = opened.infolist()
    assert (info.file_size, info.compress_size) == (size, sum(map(len, pieces[1:-1])))
    sizes = (info.compress_size, info.file_size)
    if zip64:
        assert header[18:26] == b"\xff" * 8
        assert header[39:59] == b"\1\0\x10\0" + bytes(16)
        assert descriptor == struct.pack("<4sIQQ", b"PK\7\x08", crc, *sizes)
    else:
        assert header[18:26] == bytes(8)
        assert descriptor == struct.pack("<4sIII", b"PK\7\x08", crc, *sizes)
