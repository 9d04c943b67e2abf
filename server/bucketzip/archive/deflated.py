"""An archive with compressed entries: manifest and content -> bytes, in order, as far as they are known.

Nobody knows how long it is before it is made, so it has no segments and no ranges: it is walked once, from front to
end. The walk takes content in whatever pieces it comes and cuts it into blocks; blocks are encoded anywhere, several
at once; the walk takes them back in order, and puts the records between them.

What an entry becomes:

-   Up to one block: whichever is shorter, stored or deflated, with CRC and sizes in its header.
-   Longer: deflated, and a descriptor tells CRC and sizes. Every reader takes that, Java's ZipInputStream too.
-   Not worth compressing, with `auto`: stored where its CRC is known beforehand. Else its bytes go into a deflate
    stream as they are, since a stored entry with a descriptor does not open everywhere.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from bucketzip.archive import records
from bucketzip.archive.compressed_formats import is_compressed
from bucketzip.archive.deflate import BLOCK_BYTES, DICTIONARY_BYTES, bound, compress, shrinks, wrap
from bucketzip.archive.manifest import Manifest

DIRECTORY_BATCH = 250
"""Directory records encoded at a time, which takes some 2 ms."""

_STORED = 0xFFFF_FFFF_FFFF_FFFF  # in place of a deflated length


class Compression(NamedTuple):
    """How to compress: by a level of `deflate`; `auto`: only what is worth it."""

    level: int
    auto: bool = False


class Way(Enum):
    """What is done with the blocks of one entry."""

    STORE = auto()
    WRAP = auto()
    """Put into a deflate stream as it is."""
    DEFLATE = auto()


@dataclass(frozen=True, slots=True)
class Block:
    """The next bytes of an entry, `BLOCK_BYTES` of them but for its last block."""

    entry: int
    data: bytes
    way: Way
    level: int
    dictionary: bytes
    first: bool
    last: bool

    @property
    def whole(self) -> bool:
        """Whether it is all of its entry."""
        return self.first and self.last

    def encode(self) -> bytes | None:
        """The bytes to send for it; None where it is to be stored as it is. The only thing here that takes long."""
        if self.way is Way.STORE:
            return None
        if self.way is Way.WRAP:
            return wrap(self.data, last=self.last)
        made = compress(self.data, level=self.level, dictionary=self.dictionary, last=self.last)
        return None if self.whole and len(made) >= len(self.data) else made


class DeflatedArchive:
    """One walk through an archive: `feed` all content, then `close`; each block to `encoded`; then `directory`.

    Content is that of the objects with any bytes, one after the other in the order of the manifest. `crc` gives the
    CRC of an entry once all of its content was fed.
    """

    def __init__(self, manifest: Manifest, crc: Callable[[int], int | None], compression: Compression) -> None:
        self._manifest = manifest
        self._crc = crc
        self._level, self._auto = compression
        self._fed = 0  # entries that all content of was fed
        self._way = Way.STORE
        self._offset = 0  # into the content of the entry after those
        self._gathered = bytearray()
        self._dictionary = b""
        self._position = 0
        self._header_at = array("Q", bytes(8 * len(manifest)))
        self._deflated = array("Q", bytes(8 * len(manifest)))
        self._open = bytearray(len(manifest))  # 1: with a descriptor

    def feed(self, piece: bytes | memoryview) -> Iterator[Block]:
        """Take the next content; gives the blocks that are complete with it."""
        view = memoryview(piece)
        while view:
            yield from self._without_object()
            missing = self._next_length() - len(self._gathered)
            now, view = view[:missing], view[missing:]
            if len(now) < missing:
                self._gathered += now
            else:
                data = b"".join((self._gathered, now))
                self._gathered.clear()
                yield self._block(self._fed, data, self._offset, self._manifest.sizes[self._fed])

    def close(self) -> Iterator[Block]:
        """The blocks behind the last content."""
        yield from self._without_object()
        assert self._fed == len(self._manifest)

    def encoded(self, block: Block, made: bytes | None) -> Iterator[bytes]:
        """What to send of a block that became `made`, records around it included. Blocks come in order."""
        entry, body = block.entry, block.data if made is None else made
        name, size, mtime = self._manifest.name(entry), self._manifest.sizes[entry], self._manifest.mtime(entry)
        zip64 = records.needs_zip64(size, bound(size))
        if block.first:
            self._header_at[entry] = self._position
            if block.whole or made is None:
                yield self._count(
                    records.local_header(
                        name,
                        size=size,
                        crc=self._known_crc(entry),
                        mtime=mtime,
                        descriptor=False,
                        deflated=None if made is None else len(made),
                    )
                )
            else:
                self._open[entry] = 1
                yield self._count(records.open_header(name, mtime=mtime, zip64=zip64))
        if made is None:
            self._deflated[entry] = _STORED
        else:
            self._deflated[entry] += len(made)
        if body:
            yield self._count(body)
        if block.last and self._open[entry]:
            yield self._count(
                records.descriptor(size=size, crc=self._known_crc(entry), deflated=self._deflated[entry], zip64=zip64)
            )

    def directory(self) -> Iterator[bytes]:
        """The central directory and what closes the archive, once all blocks were encoded."""
        manifest, directory_at = self._manifest, self._position
        for first in range(0, len(manifest), DIRECTORY_BATCH):
            batch = range(first, min(first + DIRECTORY_BATCH, len(manifest)))
            yield self._count(b"".join(map(self._directory_record, batch)))
        yield self._count(
            records.end_records(
                entries=len(manifest), directory_at=directory_at, directory_size=self._position - directory_at
            )
        )

    def _directory_record(self, entry: int) -> bytes:
        deflated = self._deflated[entry]
        return records.directory_record(
            self._manifest.name(entry),
            size=self._manifest.sizes[entry],
            crc=self._known_crc(entry),
            mtime=self._manifest.mtime(entry),
            descriptor=bool(self._open[entry]),
            header_at=self._header_at[entry],
            deflated=None if deflated == _STORED else deflated,
        )

    def _without_object(self) -> Iterator[Block]:
        """The blocks of the next entries whose bytes are in the manifest, or that have none."""
        while self._fed < len(self._manifest):
            entry = self._fed
            content = self._manifest.inline(entry)
            if content is None and self._manifest.sizes[entry]:
                return
            content = content or b""
            for start in range(0, max(len(content), 1), BLOCK_BYTES):
                yield self._block(entry, content[start : start + BLOCK_BYTES], start, len(content))

    def _next_length(self) -> int:
        return min(BLOCK_BYTES, self._manifest.sizes[self._fed] - self._offset)

    def _block(self, entry: int, data: bytes, start: int, size: int) -> Block:
        first, last = start == 0, start + len(data) == size
        if first:
            self._way = self._way_of(entry, data, whole=last)
        dictionary = b"" if first or self._way is not Way.DEFLATE else self._dictionary
        self._dictionary = b"" if last else data[-DICTIONARY_BYTES:]
        self._offset = 0 if last else start + len(data)
        self._fed += last
        return Block(entry, data, self._way, self._level, dictionary, first, last)

    def _way_of(self, entry: int, block: bytes, *, whole: bool) -> Way:
        if not block:
            return Way.STORE
        if not self._auto:
            return Way.DEFLATE
        if not is_compressed(self._manifest.name(entry)) and (whole or shrinks(block)):
            return Way.DEFLATE
        # By what the manifest knew, not by what was learned since: else bytes would follow from how content comes.
        return Way.STORE if whole or self._manifest.crc(entry) is not None else Way.WRAP

    def _known_crc(self, entry: int) -> int:
        crc = self._crc(entry)
        assert crc is not None
        return crc

    def _count(self, data: bytes) -> bytes:
        self._position += len(data)
        return data
