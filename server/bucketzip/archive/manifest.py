"""The manifest: everything that decides a byte of one archive, as one compact immutable file.

Columns of fixed width beside a few blobs, so that a million entries are a buffer to map and not a million objects, and
a process that opens a link reads what it needs of it. Little-endian; all but the last two columns are hashed, and that
hash is the archive's strong ETag. The last two are what was known of the CRCs when the file was written: content that
its ETag pins has one CRC, so knowing it changes no byte of the archive.

Entries are numbered as the user wants them, and that is their order in the central directory. They lie in that order
too, unless the builder was told another one: then a column has their numbers as they lie.

    head     magic, format version, entries, then (offset, length) of each section
    columns  positions, directory offsets, sizes, name ends, source ends, times, buckets, forms, order (or nothing)
    blobs    names, sources, bucket names
    CRCs     values, known flags                                           (not hashed)
"""

import hashlib
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import accumulate, chain
from mmap import mmap
from typing import BinaryIO, NamedTuple, cast

from bucketzip.archive import records
from bucketzip.archive.crc import crc32

FORMAT_VERSION = 2
"""Mixed into the hash: a release that moves a byte raises it, and no old ETag fits new bytes."""

READ_AHEAD_BYTES = 8 << 20
"""An entry up to this size is read before its header goes out, so that the header has its CRC. Part of the format."""

Buffer = bytes | bytearray | memoryview | mmap

_MAGIC = b"bucketzip manifest\r\n"
# Bytes an entry has in each section; 0 is a blob.
_SECTIONS = {
    "positions": 8,
    "directory_at": 8,
    "sizes": 8,
    "name_ends": 8,
    "source_ends": 8,
    "times": 4,
    "buckets": 2,
    "forms": 1,
    "order": 4,  # or none at all, where they lie as they are numbered
    "names": 0,
    "sources": 0,
    "bucket_names": 0,
    "crcs": 4,
    "crcs_known": 1,
}
_HASHED_SECTIONS = len(_SECTIONS) - 2
_HEAD = struct.Struct(f"<{len(_MAGIC)}sIQQQ{2 * len(_SECTIONS)}Q")
_INLINE = 0xFFFF  # in place of a bucket's number; a request has far fewer sources than that
_LATEST = 0xFFFF_FFFF
_SOURCE_HEAD = struct.Struct("<BH")

if sys.byteorder != "little":  # columns are used as they lie in the file
    raise ImportError("manifests need a little-endian machine")


class Form(IntEnum):
    """Where an entry's CRC stands. Once chosen it stays for the life of the manifest."""

    HEADER = 0
    DESCRIPTOR = 1
    REREAD = 2
    """As HEADER, of content that S3 told a wrong CRC of: another archive than the one that had the wrong one."""


class Source(NamedTuple):
    """One version of one object. `etag` is the strong ETag as S3 wrote it, quotes included."""

    bucket: str
    key: str
    etag: str
    version_id: str = ""


class ManifestError(ValueError):
    """What was given is not a manifest that this release can read."""


class ManifestBuilder:
    """Takes entries in the order of the directory and writes the manifest.

    Without `descriptors` the CRC of every entry stands in its header, however large the entry is. With them it does of
    all up to `read_ahead_bytes`, and of those that S3 tells it of. `origin` tells the S3 that has the buckets from any
    other, where it is not the usual one.
    """

    def __init__(self, *, descriptors: bool = True, read_ahead_bytes: int = READ_AHEAD_BYTES, origin: str = "") -> None:
        self._descriptors = descriptors
        self._read_ahead_bytes = read_ahead_bytes
        self._origin = origin
        self._sizes = array("Q")
        self._name_ends = array("Q")
        self._source_ends = array("Q")
        self._times = array("I")
        self._buckets = array("H")
        self._forms = bytearray()
        self._order = array("I")
        self._names = bytearray()
        self._sources = bytearray()
        self._crcs = array("I")
        self._crcs_known = bytearray()
        self._bucket_numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def sizes(self) -> Sequence[int]:
        """Bytes of content of each entry so far."""
        return self._sizes

    def archive_bytes(self, *, descriptors: bool = True) -> int:
        """How long the archive of the entries so far is; without `descriptors` as if all CRCs were known."""
        *_, content_bytes, directory_bytes = self._lay_out(descriptors=descriptors)
        end = records.end_records(entries=len(self), directory_at=content_bytes, directory_size=directory_bytes)
        return content_bytes + directory_bytes + len(end)

    @property
    def has_descriptors(self) -> bool:
        """Whether an entry so far is one whose CRC comes behind it."""
        return Form.DESCRIPTOR in self._forms

    def add(
        self,
        name: str,
        source: Source,
        *,
        size: int,
        mtime: int,
        crc: int | None = None,
        learned: int | None = None,
        reread: bool = False,
    ) -> None:
        """Add an object of `size` bytes; `name` must be safe and unique (see `names`).

        `mtime` is in seconds since 1970, UTC; what 32 bits do not hold becomes the nearest that they do. `crc` is what
        S3 tells, to everybody who plans this. `learned` came of reading, so it is only known where the object was read
        before: it decides no form. `reread`: what S3 tells was found wrong.
        """
        etag, version = source.etag.encode(), source.version_id.encode()
        self._sources += _SOURCE_HEAD.pack(len(etag), len(version)) + etag + version + source.key.encode()
        number = self._bucket_numbers.setdefault(source.bucket, len(self._bucket_numbers))
        crc = 0 if size == 0 else crc
        late = self._descriptors and crc is None and size > self._read_ahead_bytes
        self._forms.append(Form.DESCRIPTOR if late else Form.REREAD if reread else Form.HEADER)
        self._append(name, size, mtime, number, learned if crc is None else crc)

    def add_inline(self, name: str, content: bytes, *, mtime: int) -> None:
        """Add an entry whose bytes stand in the manifest itself; a folder is a name with a final slash and no bytes."""
        self._sources += content
        self._forms.append(Form.HEADER)
        self._append(name, len(content), mtime, _INLINE, crc32(content))

    def tell(self, entry: int, crc: int) -> None:
        """Note what S3 computed of an entry after it was added: its header has it."""
        self._forms[entry] = Form.HEADER
        self._crcs[entry], self._crcs_known[entry] = crc, 1

    def _append(self, name: str, size: int, mtime: int, bucket: int, crc: int | None) -> None:
        self._sizes.append(size)
        self._times.append(max(0, min(mtime, _LATEST)))
        self._buckets.append(bucket)
        self._names += name.encode()
        self._name_ends.append(len(self._names))
        self._source_ends.append(len(self._sources))
        self._crcs.append(crc or 0)
        self._crcs_known.append(crc is not None)

    def arrange(self, order: Sequence[int]) -> None:
        """Let the entries lie in this order of their numbers; the directory keeps the order in which they were added.

        The last thing before `write`. Raises ValueError where an entry is not named exactly once.
        """
        plain = list(range(len(self)))
        if sorted(order) != plain:
            raise ValueError(f"this is no order of {len(self)} entries")
        self._order = array("I", () if list(order) == plain else order)  # one order, one digest

    def write(self, file: BinaryIO) -> str:
        """Write the manifest and return its digest (64 hex digits)."""
        positions, directory_at, content_bytes, directory_bytes = self._lay_out()
        # The same bucket elsewhere is another one: so the digest is another one, too.
        bucket_names = "\n".join(
            [*self._bucket_numbers, self._origin] if self._origin else self._bucket_numbers
        ).encode()
        made: dict[str, array[int] | bytes] = {
            "positions": positions,
            "directory_at": directory_at,
            "bucket_names": bucket_names,
        }
        sections = (made[name] if name in made else getattr(self, f"_{name}") for name in _SECTIONS)
        views = [memoryview(section).cast("B") for section in sections]
        table = _places(map(len, views))
        head = _HEAD.pack(
            _MAGIC, FORMAT_VERSION, len(self), content_bytes, directory_bytes, *chain.from_iterable(table)
        )
        file.write(head)
        written = len(head)
        for (start, length), view in zip(table, views, strict=True):
            file.write(b"\0" * (start - written))
            file.write(view)
            written = start + length
        return _digest(head, views)

    def _lay_out(self, *, descriptors: bool = True) -> tuple["array[int]", "array[int]", int, int]:
        """Where each entry lies, where its record in the directory does, and how long all entries and records are."""
        positions, records_bytes = (array("Q", bytes(8 * len(self))) for _ in range(2))
        position = 0
        assert len(self._order) in {0, len(self)}
        for entry in self._order or range(len(self)):
            size = self._sizes[entry]
            name_bytes = self._name_ends[entry] - (self._name_ends[entry - 1] if entry else 0)
            late = descriptors and self._forms[entry] == Form.DESCRIPTOR
            lengths = records.lengths(size=size, mtime=self._times[entry], descriptor=late, header_at=position)
            positions[entry] = position
            records_bytes[entry] = lengths.directory + name_bytes
            position += lengths.header + name_bytes + size + lengths.descriptor
        directory_at = array("Q", accumulate(records_bytes, initial=0))
        return positions, directory_at, position, directory_at.pop()


class Manifest:
    """One manifest, read from a buffer (bytes or a mapped file) that must outlive it."""

    def __init__(self, buffer: Buffer) -> None:
        whole = memoryview(buffer)
        if len(whole) < _HEAD.size or bytes(whole[: len(_MAGIC)]) != _MAGIC:
            raise ManifestError("not a bucketzip manifest")
        _, version, entries, content_bytes, directory_size, *table = _HEAD.unpack_from(whole)
        if version != FORMAT_VERSION:
            raise ManifestError(f"manifest of format {version}, this release reads {FORMAT_VERSION}")
        ranges = list(zip(table[::2], table[1::2], strict=True))
        if ranges != _places(length for _, length in ranges) or not all(
            not width or length == width * entries or (name == "order" and not length)
            for (name, width), (_, length) in zip(_SECTIONS.items(), ranges, strict=True)
        ):
            raise ManifestError("manifest is damaged")
        if sum(ranges[-1]) > len(whole):
            raise ManifestError("manifest is cut short")
        self._head = bytes(whole[: _HEAD.size])
        self._sections = [whole[start : start + length] for start, length in ranges]
        part = dict(zip(_SECTIONS, self._sections, strict=True))
        self._entries: int = entries
        self.content_bytes: int = content_bytes
        """Bytes in front of the central directory."""
        self.directory_bytes: int = directory_size
        """Bytes of the central directory, the end records not included."""
        self.positions = part["positions"].cast("Q")
        self.directory_at = part["directory_at"].cast("Q")
        self.sizes = part["sizes"].cast("Q")
        self._name_ends = part["name_ends"].cast("Q")
        self._source_ends = part["source_ends"].cast("Q")
        self._times = part["times"].cast("I")
        self._buckets = part["buckets"].cast("H")
        self._forms = part["forms"]
        self._order = part["order"].cast("I") if part["order"] else range(entries)
        self._names = part["names"]
        self._sources = part["sources"]
        self._bucket_names = str(part["bucket_names"], "utf-8", "replace").split("\n")
        self._crcs = part["crcs"].cast("I")
        self._crcs_known = part["crcs_known"]

    def __len__(self) -> int:
        return self._entries

    def digest(self) -> str:
        """The hash of all that decides a byte, made anew from the buffer."""
        return _digest(self._head, self._sections)

    def name(self, entry: int) -> bytes:
        """The entry's name in UTF-8."""
        return bytes(self._names[self._name_ends[entry - 1] if entry else 0 : self._name_ends[entry]])

    def name_bytes(self, entry: int) -> int:
        """The length of the entry's name."""
        return self._name_ends[entry] - (self._name_ends[entry - 1] if entry else 0)

    def mtime(self, entry: int) -> int:
        """Seconds since 1970, UTC."""
        return self._times[entry]

    def inline(self, entry: int) -> bytes | None:
        """The entry's bytes, where the manifest holds them itself."""
        return self._source(entry) if self._buckets[entry] == _INLINE else None

    def late(self, entry: int) -> bool:
        """Whether the entry's CRC comes in a descriptor behind its bytes."""
        return self._forms[entry] == Form.DESCRIPTOR

    def crc(self, entry: int) -> int | None:
        """The CRC that was known when the manifest was written."""
        return self._crcs[entry] if self._crcs_known[entry] else None

    def source(self, entry: int) -> Source | bytes:
        """The object behind the entry, or its bytes where the manifest holds them itself."""
        raw = self._source(entry)
        bucket = self._buckets[entry]
        if bucket == _INLINE:
            return raw
        etag_length, version_length = _SOURCE_HEAD.unpack_from(raw)
        version_at = _SOURCE_HEAD.size + etag_length
        key_at = version_at + version_length
        return Source(
            self._bucket_names[bucket],
            raw[key_at:].decode(),
            raw[_SOURCE_HEAD.size : version_at].decode(),
            raw[version_at:key_at].decode(),
        )

    def _source(self, entry: int) -> bytes:
        return bytes(self._sources[self._source_ends[entry - 1] if entry else 0 : self._source_ends[entry]])

    def entries_from(self, position: int) -> Sequence[int]:
        """The numbers of the entries as they lie, from the last that starts at or before `position` on."""
        rank = bisect_right(self._order, position, key=self.positions.__getitem__)
        return self._order[max(rank - 1, 0) :]

    def record_at(self, offset: int) -> int:
        """The last entry whose directory record starts at or before `offset` bytes into the central directory."""
        return bisect_right(cast("list[int]", self.directory_at), offset) - 1


def _places(lengths: Iterable[int]) -> list[tuple[int, int]]:
    """Where sections of these lengths lie: (offset, length), behind the head and each other, at multiples of 8."""
    places, offset = [], _HEAD.size
    for length in lengths:
        offset = -(-offset // 8) * 8
        places.append((offset, length))
        offset += length
    return places


def _digest(head: bytes, sections: Sequence[memoryview]) -> str:
    digest = hashlib.sha256(head)
    for section in sections[:_HASHED_SECTIONS]:
        digest.update(section)
    return digest.hexdigest()
