"""An archive with compressed entries: manifest and content -> bytes, in order, as far as they are known.

Nobody knows how long it is before it is made, so it has no segments and no ranges: it is walked once, from front to
end. The walk takes content in whatever pieces it comes and cuts it into blocks; blocks are encoded anywhere, several
at once; the walk takes them back in order, and puts the records between them. One that was broken off goes on behind
any block of which there is a checkpoint.

What an entry becomes:

-   Up to one block: whichever is shorter, stored or deflated, with CRC and sizes in its header.
-   Longer: deflated, and a descriptor tells CRC and sizes. Every reader takes that, Java's ZipInputStream too.
-   Not worth compressing, with `auto`: stored where S3 tells its CRC beforehand. Else its bytes go into a deflate
    stream as they are, since a stored entry with a descriptor does not open everywhere.

Such an archive's manifest is one that reads ahead no more than a block.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bucketzip.archive import records
from bucketzip.archive.compressed_formats import is_compressed
from bucketzip.archive.crc import crc32, crc32_combine
from bucketzip.archive.deflate import BLOCK_BYTES, DICTIONARY_BYTES, bound, compress, shrinks, wrap
from bucketzip.archive.manifest import Manifest
from bucketzip.archive.segments import Span
from bucketzip.archive.walked import Form, Walked, Way

DIRECTORY_BATCH = 250
"""Directory records encoded at a time, which takes some 2 ms."""


class Compression(NamedTuple):
    """How to compress: by a level of `deflate`; `auto`: only what is worth it."""

    level: int
    auto: bool = False


class Made(NamedTuple):
    """What became of a block."""

    data: bytes | None
    """To send for it; None where it is to be stored as it is."""
    crc: int
    """Of its content."""


@dataclass(frozen=True, slots=True)
class Block:
    """The next bytes of an entry, `BLOCK_BYTES` of them but for its last block."""

    entry: int
    start: int
    """Where in the content of the entry they begin."""
    data: bytes
    way: Way
    level: int
    dictionary: bytes
    last: bool

    @property
    def whole(self) -> bool:
        """Whether it is all of its entry."""
        return self.last and not self.start

    def encode(self) -> Made:
        """The only thing here that takes long."""
        crc = crc32(self.data)
        if self.way is Way.STORE:
            return Made(None, crc)
        if self.way is Way.WRAP:
            return Made(wrap(self.data, last=self.last), crc)
        made = compress(self.data, level=self.level, dictionary=self.dictionary, last=self.last)
        return Made(None if self.whole and len(made) >= len(self.data) else made, crc)


class DeflatedArchive:
    """One walk through an archive: `feed` all content, then `close`; each block to `encoded`; then `directory`.

    Content is that of the objects with any bytes, one after the other in the order of the manifest. `learn` is told
    the CRC of each entry whose content was all encoded, and raises where it has to be another. The walk goes on where
    those stopped that made the `checkpoints`; then content is what is left of it, as `spans` tell.
    """

    def __init__(
        self,
        manifest: Manifest,
        learn: Callable[[int, int], None],
        compression: Compression,
        checkpoints: Iterable[bytes] = (),
    ) -> None:
        self._manifest = manifest
        self._learn = learn
        self._level, self._auto = compression
        self.walked = Walked(len(manifest))
        for checkpoint in checkpoints:
            self.walked.unpack(checkpoint)
        self._entry = self.walked.entry  # that is fed next
        self._offset = self.walked.offset
        self._way = self.walked.way
        self._gathered = bytearray()
        self._dictionary = b""
        self._lacking = 0  # bytes of the dictionary, which come before the content itself
        if self._offset and self._way is Way.DEFLATE:
            content = manifest.inline(self._entry)
            if content is None:
                self._lacking = DICTIONARY_BYTES
            else:
                self._dictionary = content[self._offset - DICTIONARY_BYTES : self._offset]

    def spans(self) -> Iterator[Span]:
        """The content that is to be fed."""
        manifest, entry, start = self._manifest, self._entry, self._offset - self._lacking
        return (
            Span(each, start if each == entry else 0, manifest.sizes[each])
            for each in range(entry, len(manifest))
            if manifest.sizes[each] and manifest.inline(each) is None
        )

    def feed(self, piece: bytes | memoryview) -> Iterator[Block]:
        """Take the next content; gives the blocks that are complete with it."""
        view = memoryview(piece)
        while view:
            yield from self._without_object()
            if self._lacking:
                now, view = view[: self._lacking], view[self._lacking :]
                self._dictionary += now
                self._lacking -= len(now)
                continue
            missing = self._next_length() - len(self._gathered)
            now, view = view[:missing], view[missing:]
            if len(now) < missing:
                self._gathered += now
            else:
                data = b"".join((self._gathered, now))
                self._gathered.clear()
                yield self._block(data, self._manifest.sizes[self._entry])

    def close(self) -> Iterator[Block]:
        """The blocks behind the last content."""
        yield from self._without_object()
        assert self._entry == len(self._manifest)

    def encoded(self, block: Block, made: Made) -> Iterator[bytes]:
        """What to send of a block that became `made`, records around it included. Blocks come in order."""
        walked, entry, body = self.walked, block.entry, block.data if made.data is None else made.data
        if block.start:
            walked.crcs[entry] = crc32_combine(walked.crcs[entry], made.crc, len(block.data))
        else:
            walked.header_at[entry], walked.crcs[entry] = walked.position, made.crc
            yield self._count(self._header(block, made))
        walked.packed[entry] += len(body)
        walked.content += len(block.data)
        if body:
            yield self._count(body)
        if not block.last:
            walked.entry, walked.offset, walked.way = entry, block.start + len(block.data), block.way
            return
        crc = walked.crcs[entry]
        self._learn(entry, crc)
        if walked.forms[entry] == Form.OPEN:
            yield self._count(
                records.descriptor(
                    size=self._manifest.sizes[entry], crc=crc, deflated=walked.packed[entry], zip64=self._zip64(entry)
                )
            )
        walked.entry, walked.offset = entry + 1, 0

    def directory(self) -> Iterator[bytes]:
        """What is left of the central directory, and what closes the archive, once all blocks were encoded."""
        walked, entries = self.walked, len(self._manifest)
        if not walked.records:
            walked.directory_at = walked.position
        while walked.records < entries:
            batch = range(walked.records, min(walked.records + DIRECTORY_BATCH, entries))
            walked.records = batch.stop
            yield self._count(b"".join(map(self._directory_record, batch)))
        if not walked.complete:
            walked.records += 1
            at = walked.directory_at
            yield self._count(
                records.end_records(entries=entries, directory_at=at, directory_size=walked.position - at)
            )

    def _header(self, block: Block, made: Made) -> bytes:
        manifest, entry = self._manifest, block.entry
        name, mtime = manifest.name(entry), manifest.mtime(entry)
        self.walked.forms[entry] = Form.STORED if made.data is None else Form.DEFLATED if block.whole else Form.OPEN
        if self.walked.forms[entry] == Form.OPEN:
            return records.open_header(name, mtime=mtime, zip64=self._zip64(entry))
        crc = made.crc if block.whole else manifest.crc(entry)
        assert crc is not None
        return records.local_header(
            name,
            size=manifest.sizes[entry],
            crc=crc,
            mtime=mtime,
            descriptor=False,
            deflated=None if made.data is None else len(made.data),
        )

    def _zip64(self, entry: int) -> bool:
        """Whether it has Zip64, which is decided before its length is known."""
        size = self._manifest.sizes[entry]
        return records.needs_zip64(size, bound(size))

    def _directory_record(self, entry: int) -> bytes:
        manifest, walked = self._manifest, self.walked
        return records.directory_record(
            manifest.name(entry),
            size=manifest.sizes[entry],
            crc=walked.crcs[entry],
            mtime=manifest.mtime(entry),
            descriptor=walked.forms[entry] == Form.OPEN,
            header_at=walked.header_at[entry],
            deflated=None if walked.forms[entry] == Form.STORED else walked.packed[entry],
        )

    def _without_object(self) -> Iterator[Block]:
        """The blocks of the next entries whose bytes are in the manifest, or that have none."""
        while self._entry < len(self._manifest):
            content = self._manifest.inline(self._entry)
            if content is None and self._manifest.sizes[self._entry]:
                return
            content = content or b""
            for start in range(self._offset, max(len(content), 1), BLOCK_BYTES):
                yield self._block(content[start : start + BLOCK_BYTES], len(content))

    def _next_length(self) -> int:
        return min(BLOCK_BYTES, self._manifest.sizes[self._entry] - self._offset)

    def _block(self, data: bytes, size: int) -> Block:
        entry, start = self._entry, self._offset
        last = start + len(data) == size
        if not start:
            self._way = self._way_of(entry, data, whole=last)
        dictionary = self._dictionary if start and self._way is Way.DEFLATE else b""
        self._dictionary = b"" if last else data[-DICTIONARY_BYTES:]
        self._offset = 0 if last else start + len(data)
        self._entry += last
        return Block(entry, start, data, self._way, self._level, dictionary, last)

    def _way_of(self, entry: int, block: bytes, *, whole: bool) -> Way:
        if not block:
            return Way.STORE
        if not self._auto:
            return Way.DEFLATE
        if not is_compressed(self._manifest.name(entry)) and (whole or shrinks(block)):
            return Way.DEFLATE
        # By its form, which S3 decided, not by what somebody has learned: else bytes would follow from what was before.
        known = not self._manifest.late(entry) and self._manifest.crc(entry) is not None
        return Way.STORE if whole or known else Way.WRAP

    def _count(self, data: bytes) -> bytes:
        self.walked.position += len(data)
        return data
