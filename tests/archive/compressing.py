"""Archives with compressed entries for the tests, made in one go."""

from collections.abc import Iterable, Sequence

from bucketzip.archive.crc import crc32
from bucketzip.archive.deflated import Compression, DeflatedArchive
from tests.archive.rendering import Entry, built, read_back


def compressed_archive_of(
    entries: Sequence[Entry], compression: Compression, piece_bytes: Iterable[int] = (1 << 20,)
) -> bytes:
    """Return the archive; content comes in pieces of these lengths, again and again."""
    manifest = read_back(built(entries))
    passed = [False] * len(entries)

    def crc(number: int) -> int | None:
        known = manifest.crc(number)
        return crc32(entries[number].content) if known is None and passed[number] else known

    archive = DeflatedArchive(manifest, crc, compression)
    lengths = list(piece_bytes)
    out = bytearray()
    for number, entry in enumerate(entries):
        at, turn = 0, 0
        while not entry.inline and at < len(entry.content):
            piece = memoryview(entry.content)[at : at + lengths[turn % len(lengths)]]
            at, turn = at + len(piece), turn + 1
            passed[number] = at == len(entry.content)
            for block in archive.feed(piece):
                out += b"".join(archive.encoded(block, block.encode()))
    for block in archive.close():
        out += b"".join(archive.encoded(block, block.encode()))
    for records in archive.directory():
        out += records
    return bytes(out)
