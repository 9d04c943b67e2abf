"""Archives for the tests: a manifest from entries with content, and the bytes of any cut of it."""

import io
import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from bucketzip.archive.crc import crc32
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import READ_AHEAD_BYTES, Manifest, ManifestBuilder, Source
from bucketzip.archive.names import Names
from bucketzip.archive.segments import Literal, Pending, Segment, Span

SOME_TIME = 1_700_000_001  # 2023-11-14 22:13:21, an odd second


class Entry(NamedTuple):
    """One entry to be: an object, or with `inline` bytes that the manifest holds itself."""

    name: str
    content: bytes = b""
    crc_known: bool = True
    inline: bool = False
    mtime: int = SOME_TIME


def source(key: str = "key") -> Source:
    return Source("bucket", key, '"etag"')


def built(
    entries: Iterable[Entry], *, descriptors: bool = True, read_ahead_bytes: int = READ_AHEAD_BYTES
) -> ManifestBuilder:
    builder = ManifestBuilder(descriptors=descriptors, read_ahead_bytes=read_ahead_bytes)
    for entry in entries:
        if entry.inline:
            builder.add_inline(entry.name, entry.content, mtime=entry.mtime)
        else:
            crc = crc32(entry.content) if entry.crc_known else None
            builder.add(entry.name, source(entry.name), size=len(entry.content), mtime=entry.mtime, crc=crc)
    return builder


def written(builder: ManifestBuilder) -> bytes:
    file = io.BytesIO()
    builder.write(file)
    return file.getvalue()


def read_back(builder: ManifestBuilder) -> Manifest:
    return Manifest(written(builder))


def render(
    layout: Layout,
    start: int,
    stop: int,
    *,
    read: Callable[[int, int, int], bytes],
    crc: Callable[[int], int],
) -> bytes:
    """Return the bytes `[start, stop)` of the archive; `read` gives bytes of an entry's content, `crc` its CRC."""
    out = bytearray()
    for segment in layout.cut(start, stop):
        if isinstance(segment, Literal):
            out += segment.data
        elif isinstance(segment, Span):
            out += read(*segment)
        else:
            out += layout.encode(segment, crc(segment.entry))
    return bytes(out)


def archive_of(
    entries: Sequence[Entry], order: Sequence[int] | None = None, *, read_ahead_bytes: int = READ_AHEAD_BYTES
) -> bytes:
    """Return the archive as a download has it, or with an order, as it is written into a bucket."""
    builder = built(entries, descriptors=order is None, read_ahead_bytes=read_ahead_bytes)
    if order is not None:
        builder.arrange(order)
    layout = Layout(read_back(builder))
    return slice_of_bytes(layout, entries, 0, layout.size, lambda entry: crc32(entries[entry].content))


def slice_of_bytes(layout: Layout, entries: Sequence[Entry], start: int, stop: int, crc: Callable[[int], int]) -> bytes:
    """Return the bytes `[start, stop)` of an archive of these entries."""
    return render(layout, start, stop, read=lambda entry, low, high: entries[entry].content[low:high], crc=crc)


def mixed_entries(seed: int, count: int) -> list[Entry]:
    """Return entries of all kinds that fit into memory, one of them large enough for a descriptor."""
    rng = random.Random(seed)
    names = Names()
    entries = []
    for number in range(count):
        name = rng.choice(["a.txt", "dir/b.txt", "über/日本.txt", f"{number}", "dir/deeper/c"])
        content = rng.randbytes(rng.choice([0, 1, 10, 3000]))
        entries.append(
            Entry(
                names.file(name),
                content,
                crc_known=rng.random() < 0.5,
                inline=rng.random() < 0.2,
                mtime=rng.randrange(1 << 32),
            )
        )
        if rng.random() < 0.1 and (folder := names.folder(rng.choice(["dir", "empty", f"f{number}/x"]))):
            entries.append(Entry(folder, inline=True))
    large = Entry(names.file("large.bin"), rng.randbytes(1 << 16) * 129, crc_known=False)
    entries.insert(rng.randrange(count), large)
    return entries


def length_of(segment: Segment) -> int:
    return len(segment.data) if isinstance(segment, Literal) else segment.stop - segment.start


def borders_of(layout: Layout) -> list[int]:
    """Return where each segment of the whole starts, and the end."""
    borders = [0]
    for segment in layout.cut(0, layout.size):
        borders.append(borders[-1] + length_of(segment))
    return borders


Piece = bytes | Span


def pieces(layout: Layout, start: int, stop: int) -> list[Piece]:
    """Return a cut with its records as bytes and its content as spans, each as long as it can be.

    So archives of many GiB are compared without their content. An entry's number stands in for its CRC.
    """
    return joined(
        segment
        if isinstance(segment, Span)
        else layout.encode(segment, segment.entry)
        if isinstance(segment, Pending)
        else segment.data
        for segment in layout.cut(start, stop)
    )


def joined(parts: Iterable[Piece]) -> list[Piece]:
    """Return the pieces with those that belong together as one."""
    merged: list[Piece] = []
    records = bytearray()
    for piece in parts:
        if isinstance(piece, bytes):
            records += piece
            continue
        if records:
            merged.append(bytes(records))
            records.clear()
        last = merged[-1] if merged else None
        if isinstance(last, Span) and (last.entry, last.stop) == (piece.entry, piece.start):
            merged[-1] = Span(piece.entry, last.start, piece.stop)
        else:
            merged.append(piece)
    return [*merged, bytes(records)] if records else merged


def piece_length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.stop - piece.start


def slice_of(whole: Iterable[Piece], start: int, stop: int) -> list[Piece]:
    """Return what `whole[start:stop]` would be of bytes."""
    found: list[Piece] = []
    at = 0
    for piece in whole:
        low, high = max(start - at, 0), min(stop - at, piece_length(piece))
        if low < high:
            found.append(
                piece[low:high]
                if isinstance(piece, bytes)
                else Span(piece.entry, piece.start + low, piece.start + high)
            )
        at += piece_length(piece)
    return found


def laid_out(sizes: Iterable[int], order: Sequence[int] | None = None) -> Layout:
    """Return an archive for a bucket, of objects of these sizes, without content."""
    builder = ManifestBuilder(descriptors=False)
    for number, size in enumerate(sizes):
        builder.add(f"{number}.bin", source(f"{number}.bin"), size=size, mtime=SOME_TIME)
    if order is not None:
        builder.arrange(order)
    return Layout(read_back(builder))
