"""Archives with compressed entries for the tests, made in one go."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle

from bucketzip.archive.crc import crc32
from bucketzip.archive.deflate import BLOCK_BYTES
from bucketzip.archive.deflated import Block, Compression, DeflatedArchive
from tests.archive.rendering import Entry, built, read_back


def compressed_archive_of(
    entries: Sequence[Entry], compression: Compression, piece_bytes: Iterable[int] = (1 << 20,)
) -> bytes:
    """Return the archive; content comes in pieces of these lengths, again and again."""
    return b"".join(step for step, _ in walk(entries, compression, piece_bytes))


def walk(
    entries: Sequence[Entry],
    compression: Compression,
    piece_bytes: Iterable[int] = (1 << 20,),
    checkpoints: Iterable[bytes] = (),
) -> Iterator[tuple[bytes, DeflatedArchive]]:
    """What becomes of each block and of the records behind all, and the walk as it stands then."""
    manifest = read_back(built(entries, read_ahead_bytes=BLOCK_BYTES))
    told: dict[int, int] = {}
    archive = DeflatedArchive(manifest, told.__setitem__, compression, checkpoints)
    first = archive.walked.entry
    lengths = cycle(piece_bytes)

    def blocks() -> Iterator[Block]:
        for entry, start, stop in archive.spans():
            content = memoryview(entries[entry].content)[start:stop]
            while content:
                length = next(lengths)
                yield from archive.feed(content[:length])
                content = content[length:]
        yield from archive.close()

    for block in blocks():
        yield b"".join(archive.encoded(block, block.encode())), archive
    assert told == {entry: crc32(entries[entry].content) for entry in range(first, len(entries))}
    for records in archive.directory():
        yield records, archive
