"""`bucketzip verify`: an archive as announced passes, and of any other it says what is wrong with it."""

import asyncio
import io
import json
import random
import re
import shlex
import struct
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip import cli
from bucketzip.archive.crc import crc32, crc32_combine
from bucketzip.archive.deflate import BLOCK_BYTES
from bucketzip.archive.deflated import Compression
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import FORMAT_VERSION, READ_AHEAD_BYTES, ManifestBuilder
from bucketzip.embedded import EmbeddedS3
from bucketzip.verify import CannotVerify, manifest_json
from bucketzip.verify.check import Checker
from bucketzip.verify.compressed import CompressedChecker
from bucketzip.verify.manifest_json import Listing
from bucketzip.verify.progress import Progress
from bucketzip.verify.report import Report
from bucketzip.verify.source import download_url, manifest_url
from tests.archive.compressing import compressed_archive_of
from tests.archive.rendering import (
    SOME_TIME,
    Entry,
    archive_of,
    built,
    mixed_entries,
    piece_length,
    pieces,
    read_back,
    source,
)
from tests.bucket import Bucket
from tests.web.serving import Server, serving

MIB, GIB = 1 << 20, 1 << 30
FEW = [
    Entry("a.txt", b"first"),
    Entry("dir/", inline=True),
    Entry("dir/Übersicht 日本.pdf", b"second " * 9),
    Entry("empty"),
    Entry("late.bin", b"its CRC comes behind it", crc_known=False),
    Entry("z.txt", b"last!", inline=True),
]


READ_LITTLE_AHEAD = 10
"""So that an archive with a descriptor is small enough to be damaged at each of its bytes."""


def announced(entries: Sequence[Entry], *, known: bool = True, read_ahead_bytes: int = READ_AHEAD_BYTES) -> bytes:
    """The manifest.json of an archive; CRCs that its manifest has not are null where they are not `known`."""
    layout = Layout(read_back(built(entries, read_ahead_bytes=read_ahead_bytes)))

    def crc(entry: int) -> int | None:
        return crc32(entries[entry].content) if known else layout.manifest.crc(entry)

    return as_json(layout, crc)


def as_json(layout: Layout, crc: Callable[[int], int | None]) -> bytes:
    lines = manifest_json.lines(layout.manifest, range(len(layout.manifest)), crc)
    return manifest_json.head(layout, "photos.zip") + lines + manifest_json.TAIL


def check(path: Path, manifest: bytes, show: int = 20) -> Report:
    return Checker(path, Listing(io.BytesIO(manifest)), show=show, progress=lambda _: None).run()


def check_bytes(tmp_path: Path, archive: bytes, manifest: bytes) -> Report:
    path = tmp_path / "a.zip"
    path.write_bytes(archive)
    return check(path, manifest)


def said(report: Report) -> list[str]:
    assert report.difference_count == len(report.differences)
    return list(map(str, report.differences))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, output and errors of `bucketzip verify`."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", *map(str, arguments)])
    out, errors = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, errors


# What it is checked against


@given(seed=st.integers(0, 1 << 32), count=st.integers(0, 12))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read(seed: int, count: int) -> None:
    entries = mixed_entries(seed, count)[: count + 1] if count else []
    layout = Layout(read_back(built(entries)))
    listing = Listing(io.BytesIO(as_json(layout, layout.manifest.crc)))
    assert (listing.bytes, listing.entry_count) == (layout.size, len(entries))
    assert [
        (each.name.encode(), each.size, each.crc, each.mtime, each.offset, each.descriptor) for each in listing
    ] == [
        (
            layout.manifest.name(number),
            layout.manifest.sizes[number],
            layout.manifest.crc(number),
            layout.manifest.mtime(number),
            layout.manifest.positions[number],
            layout.manifest.late(number),
        )
        for number in range(len(entries))
    ]
    json.loads(as_json(layout, layout.manifest.crc))


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (b'{"format"', b"<html>", "not the manifest.json of a bucketzip link"),
        (b'"entries":[\n', b'"entries":[', "one entry a line"),
        (
            b'"format":%d,' % FORMAT_VERSION,
            b'"format":99,',
            f"of format 99, and this release reads {FORMAT_VERSION}",
        ),
        (b'"photos.zip"', b"[" * 100_000, "not the manifest.json of a bucketzip link"),
        (b'"bytes":', b'"bytes":-', "not the manifest.json of a bucketzip link"),
        (b'"entry_count":6', b'"entry_count":7', "has 6 entries, and says 7"),
        (b"]}\n", b"", "cut short"),
        (b'"name":"empty"', b'"name":7', "line 5 of the manifest cannot be read"),
        (b'"name":"empty"', b'"name":"' + b"x" * 70_000 + b'"', "line 5 of the manifest cannot be read"),
        (b'"00000000"', b'"100000000"', "line 3 of the manifest cannot be read"),
        (b'"offset":0,', b'"offset":9223372036854775808,', "line 2 of the manifest cannot be read"),
        (b"T22:13:21Z", b"T22:13:71Z", "line 2 of the manifest cannot be read"),
    ],
)
def test_what_is_no_manifest_is_no_difference(before: bytes, after: bytes, why: str, tmp_path: Path) -> None:
    manifest = announced(FEW)
    assert before in manifest
    with pytest.raises(CannotVerify, match=why):
        check_bytes(tmp_path, archive_of(FEW), manifest.replace(before, after, 1))


def test_the_manifest_s_address_follows_from_the_link() -> None:
    link = "https://zip.example.com/d/H3ste5PMEG53GkF9fXDhAg/Gr%C3%BC%C3%9Fe.zip"
    manifest = "https://zip.example.com/d/H3ste5PMEG53GkF9fXDhAg/manifest.json"
    for given_url in (link, manifest):
        assert manifest_url(given_url) == manifest
        assert download_url(given_url, "Grüße.zip") == link
    assert manifest_url("https://example.com/saved/handover.json") == "https://example.com/saved/handover.json"
    assert download_url("https://example.com/saved/handover.json", "a.zip") is None
    assert download_url("/d/x/manifest.json", "a.zip") is None


# What passes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("known", [True, False])
def test_what_was_announced_passes(seed: int, known: bool, tmp_path: Path) -> None:  # noqa: FBT001
    entries = mixed_entries(seed, 40)
    report = check_bytes(tmp_path, archive_of(entries), announced(entries, known=known))
    assert said(report) == []
    assert report.checked_entries == len(entries)
    unknown = sum(not each.crc_known and not each.inline and bool(each.content) for each in entries)
    assert report.crcs_from_directory == (0 if known else unknown)
    assert unknown > 5


def test_an_empty_archive_passes(tmp_path: Path) -> None:
    assert said(check_bytes(tmp_path, archive_of([]), announced([]))) == []


def test_zip64_is_looked_at(tmp_path: Path) -> None:
    """A file with holes: sizes, offsets and the directory beyond 4 GiB, and a descriptor of 24 bytes."""
    size = 4 * GIB + 5
    builder = ManifestBuilder()
    builder.add("late.bin", source(), size=size, mtime=SOME_TIME)
    builder.add_inline("behind.txt", b"behind the border", mtime=SOME_TIME)
    layout = Layout(read_back(builder))
    crc = crc32(bytes(5), zeros_crc(4 * GIB))
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        at = 0
        for piece in pieces(layout, 0, layout.size):
            if isinstance(piece, bytes):
                file.seek(at)
                # An entry's number stands in for the CRC of what is pending, 0 here.
                file.write(piece.replace(b"PK\7\x08" + bytes(4), b"PK\7\x08" + struct.pack("<I", crc)))
            at += piece_length(piece)
        file.seek(layout.manifest.content_bytes + 16)
        file.write(struct.pack("<I", crc))
        behind = layout.manifest.positions[1]
        file.seek(behind + 18)
        file.write(b"\1")
        file.seek(layout.size - 2)  # behind the Zip64 end record and its locator
        file.write(b"\1")
    manifest = as_json(layout, lambda entry: [crc, crc32(b"behind the border")][entry])
    assert said(check(path, manifest)) == [
        "behind.txt: local header, compressed size: expected 17, found 1",
        "Zip64 end records, comment length: expected 0, found 1",
    ]


def zeros_crc(size: int) -> int:
    """The CRC of so many zeros, a power of two and at least 1 MiB."""
    crc, length = crc32(bytes(MIB)), MIB
    while length < size:
        crc, length = crc32_combine(crc, crc, length), 2 * length
    return crc


def test_20_000_entries_are_quick(tmp_path: Path) -> None:
    entries = [Entry(f"folder-{number % 100}/{number}.jpg", b"%d" % number, inline=True) for number in range(20_000)]
    archive, manifest = archive_of(entries), announced(entries)
    began = time.process_time()
    assert said(check_bytes(tmp_path, archive, manifest)) == []
    assert time.process_time() - began < 4


# What does not


@pytest.mark.parametrize("known", [True, False])
def test_a_change_of_any_byte_is_found(known: bool, tmp_path: Path) -> None:  # noqa: FBT001
    archive = archive_of(FEW, read_ahead_bytes=READ_LITTLE_AHEAD)
    manifest = announced(FEW, known=known, read_ahead_bytes=READ_LITTLE_AHEAD)
    assert b"PK\7\x08" in archive
    assert said(check_bytes(tmp_path, archive, manifest)) == []
    with (tmp_path / "a.zip").open("r+b", 0) as file:
        for at, right in enumerate(archive):
            file.seek(at)
            file.write(bytes([right ^ (0x20 if at % 2 else 0xFF)]))
            assert check(tmp_path / "a.zip", manifest).difference_count, f"byte {at} of {len(archive)}"
            file.seek(at)
            file.write(bytes([right]))


def test_it_says_where_the_damage_is(tmp_path: Path) -> None:
    archive = archive_of(FEW, read_ahead_bytes=READ_LITTLE_AHEAD)
    manifest = announced(FEW, read_ahead_bytes=READ_LITTLE_AHEAD)
    directory = archive.index(b"PK\1\2")
    second = archive.index(b"PK\1\2", directory + 4)
    a_crc = f"{crc32(b'first'):08x}"
    late_crc = f"{crc32(FEW[4].content):08x}"
    for at, new, expected in [
        (archive.index(b"first"), b"F", f"a.txt: content, CRC-32: expected {a_crc}, found {crc32(b'First'):08x}"),
        (0, b"Q", "a.txt: local header, signature: expected 50 4b 03 04, found 51 4b 03 04"),
        (14, bytes(4), f"a.txt: local header, CRC-32: expected {a_crc}, found 00000000"),
        (30, b"b.txt", "a.txt: local header, name: expected a.txt, found b.txt"),
        (
            archive.index(b"PK\7\x08") + 4,
            bytes(4),
            f"late.bin: descriptor, CRC-32: expected {late_crc}, found 00000000",
        ),
        (directory + 16, bytes(4), f"a.txt: directory record, CRC-32: expected {a_crc}, found 00000000"),
        (directory + 24, b"\6", "a.txt: directory record, size: expected 5, found 6"),
        (directory + 38, bytes(4), "a.txt: directory record, external attributes: expected 2175008768, found 0"),
        (second + 42, b"\0", "dir/: directory record, offset: expected 49, found 0"),
        (
            second,
            b"Q",
            "central directory: expected one that can be read, found Bad magic number for central directory",
        ),
        (len(archive) - 12, b"\0", "end record, entries: expected 6, found 0"),
        (len(archive) - 2, b"\1", "end record, comment length: expected 0, found 1"),
    ]:
        damaged = archive[:at] + new + archive[at + len(new) :]
        (only,) = said(check_bytes(tmp_path, damaged, manifest))
        assert only.startswith(expected), only


def test_a_name_that_changed_in_the_directory(tmp_path: Path) -> None:
    archive = archive_of(FEW)
    at = archive.rindex(b"empty")
    report = check_bytes(tmp_path, archive[:at] + b"Empty" + archive[at + 5 :], announced(FEW))
    assert said(report) == [
        "empty: directory record: expected one, found none",
        "Empty: directory record: expected none, since it is not in the manifest, found one",
    ]


@pytest.mark.parametrize("short", [1, 22, 100, 10_000_000])
def test_a_cut_file_says_how_to_go_on(short: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = archive_of(FEW)
    path = tmp_path / "it is mine.zip"
    path.write_bytes(archive[: max(len(archive) - short, 0)])
    there = path.stat().st_size
    saved = tmp_path / "manifest.json"
    saved.write_bytes(announced(FEW))
    status, out, errors = run(capsys, path, "--manifest", saved)
    assert (status, errors) == (1, "")
    command = f"curl -C - -o {shlex.quote(str(path))} LINK"
    assert out == f"{path}: the file has {there:,} of {len(archive):,} bytes: continue the download with {command}\n"
    status, out, _ = run(capsys, path, "--manifest", saved, "--json")
    report = json.loads(out)
    assert (status, report["bytes"], report["announced_bytes"]) == (1, there, len(archive))
    assert [each["what"] for each in report["differences"]] == ["size"]


@pytest.mark.parametrize("count", [1, 100_000])
def test_bytes_behind_the_end(count: int, tmp_path: Path) -> None:
    archive = archive_of(FEW)
    report = check_bytes(tmp_path, archive + bytes(count), announced(FEW))
    assert said(report) == [f"size: expected {len(archive)} bytes, found {len(archive) + count} bytes"]
    assert report.checked_entries == len(FEW)


def test_two_entries_changed_places(tmp_path: Path) -> None:
    swapped = [FEW[5], *FEW[1:5], FEW[0]]
    report = check_bytes(tmp_path, archive_of(swapped), announced(FEW))
    assert report.missing_bytes == 0
    lines = said(report)
    for name in ("a.txt", "z.txt"):
        assert any(line.startswith(f"{name}: content, CRC-32: ") for line in lines)
        assert any(line.startswith(f"{name}: local header, ") for line in lines)
        assert any(line.startswith(f"{name}: directory record, offset: ") for line in lines)
    assert {each.entry for each in report.differences} == {"a.txt", "z.txt"}


def test_an_entry_too_many(tmp_path: Path) -> None:
    """Put in by a tool as anybody would, and in a file of the announced size."""
    path = tmp_path / "a.zip"
    path.write_bytes(archive_of(FEW))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("evil.sh", b"rm")
    report = check(path, announced(FEW))
    assert "evil.sh: directory record: expected none, since it is not in the manifest, found one" in said(report)

    larger = [*FEW[:-1], Entry("large.txt", b"last!" * 100, inline=True)]
    smaller = [*FEW[:-1], Entry("b", b"", inline=True)]
    extra = Entry(
        "c", b"x" * (len(archive_of(larger)) - len(archive_of([*smaller, Entry("c", inline=True)]))), inline=True
    )
    altered = archive_of([*smaller, extra])
    report = check_bytes(tmp_path, altered, announced(larger))
    assert report.file_bytes == report.announced_bytes
    lines = said(report)
    assert "large.txt: directory record: expected one, found none" in lines
    for name in ("b", "c"):
        assert f"{name}: directory record: expected none, since it is not in the manifest, found one" in lines


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(archive_of(FEW))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.txt", b"another")
    assert "a.txt: directory record: expected one, found another one of the same name" in said(
        check(path, announced(FEW))
    )


def test_another_archive_altogether(tmp_path: Path) -> None:
    manifest = announced(FEW)
    other = [Entry(f"other-{number}", b"x" * 100) for number in range(20)]
    report = check_bytes(tmp_path, archive_of(other), manifest)
    assert report.difference_count > 20
    assert len(report.differences) == 20
    noise = random.Random(1).randbytes(len(archive_of(FEW)))
    lines = said(check_bytes(tmp_path, noise, manifest))
    assert lines[-1] == "central directory: expected one that can be read, found File is not a zip file"
    assert lines[0].startswith("a.txt: content, CRC-32")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_damage_of_the_directory_is_too_much(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    archive = bytearray(archive_of(FEW))
    directory = archive.index(b"PK\1\2")
    for _ in range(data.draw(st.integers(1, 6))):
        archive[data.draw(st.integers(directory, len(archive) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    path.write_bytes(archive)
    assert bool(check(path, announced(FEW)).difference_count) == (bytes(archive) != archive_of(FEW))


# Compressed archives

LONG = Entry("long.txt", b"one line like another\n" * (BLOCK_BYTES // 20), crc_known=False)
SQUEEZED = [Entry("a.txt", b"first " * 9), LONG, Entry("ü", random.Random(1).randbytes(50))]


def check_compressed(tmp_path: Path, archive: bytes, *, known: bool = True) -> Report:
    layout = Layout(read_back(built(SQUEEZED, read_ahead_bytes=BLOCK_BYTES)))

    def crc(entry: int) -> int | None:
        return crc32(SQUEEZED[entry].content) if known else layout.manifest.crc(entry)

    lines = manifest_json.lines(layout.manifest, range(len(layout.manifest)), crc, "deflate")
    manifest = manifest_json.head(layout, "photos.zip", "deflate") + lines + manifest_json.TAIL
    path = tmp_path / "a.zip"
    path.write_bytes(archive)
    return CompressedChecker(path, Listing(io.BytesIO(manifest)), show=20, progress=lambda _: None).run()


def squeezed() -> bytes:
    return compressed_archive_of(SQUEEZED, Compression(3))


def test_a_change_of_any_record_of_a_compressed_archive_is_found(tmp_path: Path) -> None:
    """And of any content; but bits that fill up a byte, say, change none."""
    archive = squeezed()
    for known in (True, False):
        assert said(check_compressed(tmp_path, archive, known=known)) == []
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        infos = opened.infolist()
    starts = [each.header_offset + 30 + len(each.filename.encode()) + 9 for each in infos]  # 9 of the time
    contents = {
        at for start, each in zip(starts, infos, strict=True) for at in range(start, start + each.compress_size)
    }
    assert b"PK\7\x08" in archive
    for at in set(range(len(archive))) - contents:
        damaged = bytearray(archive)
        damaged[at] ^= 0x20 if at % 2 else 0xFF
        assert check_compressed(tmp_path, bytes(damaged), known=at % 3 > 0).difference_count, f"byte {at}"


def test_it_says_where_the_damage_of_a_compressed_archive_is(tmp_path: Path) -> None:
    archive = squeezed()
    noise, descriptor, directory = (
        archive.index(SQUEEZED[-1].content),
        archive.index(b"PK\7\x08"),
        archive.index(b"PK\1\2"),
    )
    noise_crc = f"{crc32(SQUEEZED[-1].content):08x}"
    long_at = archive.index(b"long.txt")
    for at, new, expected in [
        (14, bytes(4), f"a.txt: local header, CRC-32: expected {crc32(SQUEEZED[0].content):08x}, found 00000000"),
        (noise, b"12345", f"ü: content, CRC-32: expected {noise_crc}, found "),
        (long_at + 8 + 9, b"\xff" * 9, "long.txt: content: expected one that unpacks, found Error -3 "),
        (descriptor + 12, bytes(4), f"long.txt: descriptor, size: expected {len(LONG.content)}, found 0"),
        (directory + 38, bytes(4), "a.txt: directory record, external attributes: expected 2175008768, found 0"),
        (directory + 8, b"\1", "a.txt: directory record, flags: expected 0, found 1"),
        (len(archive) - 2, b"\1", "end record, comment length: expected 0, found 1"),
    ]:
        (only,) = said(check_compressed(tmp_path, archive[:at] + new + archive[at + len(new) :]))
        assert only.startswith(expected), only


def test_bytes_around_a_compressed_archive(tmp_path: Path) -> None:
    archive = squeezed()
    size, end = len(archive), len(archive) - 22
    assert said(check_compressed(tmp_path, archive + b"more")) == [
        f"size: expected {size} bytes, found {size + 4} bytes"
    ]
    for at in (0, archive.index(b"PK\1\2"), end):
        assert check_compressed(tmp_path, archive[:at] + b"more" + archive[at:]).difference_count


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_no_damage_of_a_compressed_archive_is_too_much(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    archive = bytearray(squeezed())
    directory = archive.index(b"PK\1\2")
    for _ in range(data.draw(st.integers(1, 6))):
        archive[data.draw(st.integers(directory, len(archive) - 1))] = data.draw(st.integers(0, 255))
    report = check_compressed(tmp_path_factory.getbasetemp(), bytes(archive))
    assert bool(report.difference_count) == (bytes(archive) != squeezed())


# The command


def test_a_crc_that_nobody_told_is_taken_from_the_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [Entry("told", b"1"), Entry("not told", b"2", crc_known=False)]
    path, saved = tmp_path / "a.zip", tmp_path / "m.json"
    path.write_bytes(archive_of(entries))
    saved.write_bytes(announced(entries, known=False))
    status, out, errors = run(capsys, path, "--manifest", saved)
    assert (status, errors) == (0, "")
    assert "all right: 2 entries, " in out
    assert "The server did not know the CRC-32 of 1 entry yet" in out
    path.write_bytes(archive_of(entries).replace(b"not told2", b"not told3").replace(b"2PK", b"3PK"))
    status, out, _ = run(capsys, path, "--manifest", saved, "--json")
    report = json.loads(out)
    assert (status, report["status"], report["crcs_from_directory"]) == (1, "differs", 1)
    assert [(each["entry"], each["what"]) for each in report["differences"]] == [("not told", "content, CRC-32")]


def test_only_so_many_differences_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [Entry(f"{number:02}", b"right") for number in range(30)]
    path, saved = tmp_path / "a.zip", tmp_path / "m.json"
    path.write_bytes(archive_of(entries).replace(b"right", b"wrong"))
    saved.write_bytes(announced(entries))
    status, out, _ = run(capsys, path, "--manifest", saved, "--show", 3)
    assert status == 1
    assert "30 differences" in out
    assert out.count("content, CRC-32") == 3
    assert "  and 27 more (--show 30)\n" in out


def test_a_name_cannot_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, saved = tmp_path / "a.zip", tmp_path / "m.json"
    saved.write_bytes(announced(FEW))
    path.write_bytes(archive_of(FEW))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x\x1b[2Jall right", b"")
    _, out, _ = run(capsys, path, "--manifest", saved)
    assert r"x\x1b[2Jall right: directory record" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("file", "manifest", "why"),
    [
        ("gone.zip", "m.json", "gone.zip: No such file or directory"),
        (".", "m.json", ".: Is a directory"),
        (".", "huge.json", ".: Is a directory"),
        ("a.zip", "gone.json", "gone.json: No such file or directory"),
        ("a.zip", "a.zip", "this is not the manifest.json"),
        (
            "a.zip",
            "http://127.0.0.1:1/d/x/a.zip",
            "http://127.0.0.1:1/d/x/manifest.json: [Errno 111] Connection refused",
        ),
        ("a.zip", "http://no-such-host.invalid/d/x/a.zip", "http://no-such-host.invalid/d/x/manifest.json: "),
        ("a.zip", "http://[::1/", "Invalid IPv6 URL"),
        ("a.zip", "file:///etc/passwd", "No such file or directory"),
    ],
)
def test_what_cannot_be_checked_is_neither_right_nor_wrong(  # noqa: PLR0917  -- fixtures
    file: str,
    manifest: str,
    why: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.zip").write_bytes(archive_of(FEW))
    Path("m.json").write_bytes(announced(FEW))
    Path("huge.json").write_bytes(announced([Entry("huge", bytes(MIB))]))
    status, out, errors = run(capsys, file, "--manifest", manifest)
    assert (status, out) == (2, "")
    assert errors.startswith("bucketzip: cannot verify: ")
    assert why in errors
    assert errors.count("\n") == 1
    status, out, _ = run(capsys, file, "--manifest", manifest, "--json")
    assert status == 2
    assert json.loads(out)["status"] == "unchecked"
    assert why in json.loads(out)["detail"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *, quiet: bool = False) -> str:
    """What stands on a stream when 300 MiB were checked, at a pace that a test sees."""
    times = [0.0]
    progress = Progress(300 * MIB, stream, clock=lambda: times[-1], quiet=quiet)
    for now, done_mib in [(0.1, 1), (2.0, 100), (2.1, 110), (4.0, 200), (100.0, 290)]:
        times.append(now)
        progress(done_mib * MIB)
    progress.clear()
    return stream.getvalue()


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    said = shown(Terminal())
    # It draws the last once more, at its end.
    first, second, third = dict.fromkeys(re.findall(r"(\d\d %  [^\x1b\r\n]+?) *[\x1b\r\n]", said))
    assert first == "33 %  100 of 300 MiB  50 MiB/s  0:00:04 left"
    assert second == "66 %  200 of 300 MiB  50 MiB/s  0:00:02 left"
    assert third == "96 %  290 of 300 MiB  3 MiB/s  0:00:03 left"
    assert "━" in said
    assert said.endswith("\x1b[2K"), "nothing is left of it"
    assert "\x1b[?25l" not in said, "the cursor is not hidden, since whatever ends the process cannot show it again"


def test_elsewhere_it_is_a_line_now_and_then() -> None:
    assert shown(io.StringIO()) == " 96 %  290 of 300 MiB  3 MiB/s  0:00:03 left\n"


def test_quiet_is_quiet() -> None:
    assert shown(io.StringIO(), quiet=True) == shown(Terminal(), quiet=True) == ""


# With a real server


@pytest.fixture
async def server(s3_server: EmbeddedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    async with serving(s3_server.environment(), tmp_path / "state", monkeypatch) as running:
        yield running


async def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """As `run`, while the server goes on."""
    return await asyncio.to_thread(run, capsys, *arguments)


async def curl(*arguments: object) -> None:
    process = await asyncio.create_subprocess_exec("curl", "-sSf", *map(str, arguments))
    assert await process.wait() == 0


async def test_a_download_is_checked_and_gone_on_with(
    server: Server, bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(7)
    objects = {f"many/{number:03}": dice.randbytes(2000) for number in range(100)}
    objects |= {"Übersicht 日本.pdf": b"u", "empty": b"", "late.bin": dice.randbytes(9 * MIB)}
    await bucket.put_many({**objects, "folder/": b""})
    url = await server.link(bucket.url(), bucket.url("gone"), filename="Bilder ü.zip", on_missing="skip")
    early, saved, path = (tmp_path / name for name in ("early.json", "late.json", "Bilder.zip"))
    await curl("-o", early, manifest_url(url))
    await curl("-o", path, url)
    await curl("-o", saved, manifest_url(url))
    for manifest in (url, manifest_url(url), saved):
        status, out, errors = await told(capsys, path, "--manifest", manifest)
        assert (status, errors) == (0, "")
        assert re.fullmatch(rf"{path}: all right: 105 entries, [\d,]+ bytes, in [\d.]+ s \([\d,]+ MiB/s\)\n", out), out
    status, out, errors = await told(capsys, path, "--manifest", early, "--json")
    assert (status, errors) == (0, "")
    unknown = early.read_bytes().count(b'"crc32":null')
    assert json.loads(out)["crcs_from_directory"] == unknown > 100

    whole = path.read_bytes()
    path.write_bytes(whole[:MIB])
    status, out, _ = await told(capsys, path, "--manifest", url)
    assert status == 1
    assert f"has {MIB:,} of {len(whole):,} bytes" in out
    command = shlex.split(out.partition("continue the download with ")[2])
    assert command[0] == "curl"
    await curl(*command[1:])
    assert path.read_bytes() == whole
    path.write_bytes(whole.replace(objects["many/050"], dice.randbytes(2000)))
    status, out, _ = await told(capsys, path, "--manifest", url)
    assert status == 1
    assert "many/050: content, CRC-32: expected " in out


async def test_what_the_server_says_is_told(
    server: Server,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await bucket.put("a", b"1")
    path = tmp_path / "a.zip"
    url = await server.link(bucket.url())
    await curl("-o", path, url)
    assert (await told(capsys, path, "--manifest", url))[0] == 0
    for address, why in [
        (f"{server.base}/d/AAAAAAAAAAAAAAAAAAAAAA/a.zip", "There is no such link"),
        (f"{server.base}/nowhere", "There is nothing at this address. (404 not_found)"),
        (f"{server.base}/metrics", "this is no manifest.json"),
        (f"{server.base}/healthz", "this is not the manifest.json"),
    ]:
        status, out, errors = await told(capsys, path, "--manifest", address)
        assert (status, out) == (2, "")
        assert why in errors
    later = time.time() + 100_000
    monkeypatch.setattr(time, "time", lambda: later)
    status, _, errors = await told(capsys, path, "--manifest", url)
    assert status == 2
    assert "This link has expired. Ask for a new one. (410 link_expired)" in errors
