"""The bytes of each ZIP record: stateless, arguments in, bytes out.

The one place that knows how records look, and therefore how long they are: a length anywhere else is the `len` of what
one of these returned. Field names are those of PKWARE's APPNOTE 6.3.10; `docs/zip-format.md` tells the reason of each
decision.
"""

import struct
from calendar import timegm
from functools import lru_cache
from time import gmtime
from typing import NamedTuple

LIMIT_16 = 0xFFFF
LIMIT_32 = 0xFFFF_FFFF
"""A 32-bit field holding this says "see the Zip64 field", so the value itself needs Zip64 too."""

_STORED, _DEFLATED = 0, 8
FLAG_DESCRIPTOR = 1 << 3  # CRC and sizes stand behind the content
_FLAG_UTF8 = 1 << 11
_VERSION_DEFAULT = 20
_VERSION_ZIP64 = 45
_MADE_BY_UNIX = 3 << 8
_FILE_ATTRIBUTES = 0o100644 << 16
_FOLDER_ATTRIBUTES = (0o040755 << 16) | 0x10  # the low byte is DOS's: 0x10 is "directory"
_TIMESTAMP_LIMIT = 1 << 31  # the extended timestamp is a signed 32-bit number

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_DESCRIPTOR = struct.Struct("<4sIII")
_DESCRIPTOR_64 = struct.Struct("<4sIQQ")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4sHHHHIIH")
_EXTRA_TIMESTAMP = struct.Struct("<HHBI")
_EXTRA_SIZES_64 = struct.Struct("<HHQQ")


def local_header(
    name: bytes, *, size: int, crc: int, mtime: int, descriptor: bool, deflated: int | None = None
) -> bytes:
    """The record in front of an entry's bytes.

    With `descriptor` the CRC comes behind the bytes and is 0 here; the sizes are always true.
    `mtime` is in seconds since 1970, UTC. `deflated` is how many bytes `size` became, where they did.
    """
    assert deflated is None or not descriptor  # see `open_header`
    packed = size if deflated is None else deflated
    method = _STORED if deflated is None else _DEFLATED
    crc = 0 if descriptor else crc
    return _local(name, method, crc, (size, packed), mtime, zip64=needs_zip64(size, packed), descriptor=descriptor)


def open_header(name: bytes, *, mtime: int, zip64: bool) -> bytes:
    """The record in front of deflated bytes that are still to be made: a descriptor tells CRC and sizes.

    All of them are 0 here, and with `zip64`, as everybody writes it, 0xFFFFFFFF with zeros in the Zip64 field.
    """
    return _local(name, _DEFLATED, 0, (0, 0), mtime, zip64=zip64, descriptor=True)


def _local(
    name: bytes, method: int, crc: int, sizes: tuple[int, int], mtime: int, *, zip64: bool, descriptor: bool
) -> bytes:
    size, packed = sizes
    extra = _timestamp(mtime)
    if zip64:
        # Windows 7's Explorer reads Zip64 sizes only from the first extra field.
        extra = _EXTRA_SIZES_64.pack(1, 16, size, packed) + extra
    return (
        _LOCAL.pack(
            b"PK\3\4",
            _VERSION_ZIP64 if zip64 else _VERSION_DEFAULT,
            _flags(name, descriptor=descriptor),
            method,
            *_dos_time_date(mtime),
            crc,
            LIMIT_32 if zip64 else packed,
            LIMIT_32 if zip64 else size,
            len(name),
            len(extra),
        )
        + name
        + extra
    )


def needs_zip64(size: int, packed: int) -> bool:
    """Whether the local header of an entry of `size` bytes, of which `packed` are there, has Zip64 sizes."""
    return max(size, packed) >= LIMIT_32


def descriptor(*, size: int, crc: int, deflated: int | None = None, zip64: bool | None = None) -> bytes:
    """The record behind the bytes of an entry whose header could not give the CRC: 16 bytes, 24 where it has Zip64.

    `zip64` is told of deflated entries, whose header was written before their length was known.
    """
    packed = size if deflated is None else deflated
    packer = _DESCRIPTOR_64 if (needs_zip64(size, packed) if zip64 is None else zip64) else _DESCRIPTOR
    return packer.pack(b"PK\7\x08", crc, packed, size)


def directory_record(
    name: bytes,
    *,
    size: int,
    crc: int,
    mtime: int,
    descriptor: bool,
    header_at: int,
    deflated: int | None = None,
) -> bytes:
    """The entry's record in the central directory; `header_at` is where its local header starts in the archive."""
    packed = size if deflated is None else deflated
    extra = _timestamp(mtime)
    zip64 = b""
    if size >= LIMIT_32 or packed >= LIMIT_32 or header_at >= LIMIT_32:
        zip64 = b"".join(struct.pack("<Q", value) for value in (size, packed, header_at) if value >= LIMIT_32)
        extra = struct.pack("<HH", 1, len(zip64)) + zip64 + extra
    version = _VERSION_ZIP64 if zip64 else _VERSION_DEFAULT
    return (
        _CENTRAL.pack(
            b"PK\1\2",
            _MADE_BY_UNIX | version,
            version,
            _flags(name, descriptor=descriptor),
            _STORED if deflated is None else _DEFLATED,
            *_dos_time_date(mtime),
            crc,
            min(packed, LIMIT_32),
            min(size, LIMIT_32),
            len(name),
            len(extra),
            0,  # comment length
            0,  # disk
            0,  # internal attributes
            _FOLDER_ATTRIBUTES if name.endswith(b"/") else _FILE_ATTRIBUTES,
            min(header_at, LIMIT_32),
        )
        + name
        + extra
    )


def end_records(*, entries: int, directory_at: int, directory_size: int) -> bytes:
    """What closes the archive: the end record, behind the Zip64 end record and its locator where a value needs them."""
    zip64 = b""
    if entries >= LIMIT_16 or directory_at >= LIMIT_32 or directory_size >= LIMIT_32:
        zip64 = _END_64.pack(
            b"PK\6\6",
            _END_64.size - 12,  # the size of what follows this field
            _MADE_BY_UNIX | _VERSION_ZIP64,
            _VERSION_ZIP64,
            0,
            0,
            entries,
            entries,
            directory_size,
            directory_at,
        ) + _LOCATOR_64.pack(b"PK\6\7", 0, directory_at + directory_size, 1)
    entries_16 = min(entries, LIMIT_16)
    return zip64 + _END.pack(
        b"PK\5\6",
        0,
        0,
        entries_16,
        entries_16,
        min(directory_size, LIMIT_32),
        min(directory_at, LIMIT_32),
        0,
    )


class Lengths(NamedTuple):
    """Bytes of an entry's records, its name not counted: it stands once in the header and once in the directory."""

    header: int
    descriptor: int
    directory: int


def lengths(*, size: int, mtime: int, descriptor: bool, header_at: int) -> Lengths:
    """How long the records of an entry are: what the encoders above give for one of its shape, asked once a shape.

    Encoding three records of each of a million entries for their lengths alone takes a third of planning.
    """
    return _lengths(size >= LIMIT_32, header_at >= LIMIT_32, 0 <= mtime < _TIMESTAMP_LIMIT, descriptor)


@lru_cache
def _lengths(large: bool, far: bool, stamped: bool, late: bool) -> Lengths:  # noqa: FBT001  -- the shape, as a key
    size, header_at = LIMIT_32 * large, LIMIT_32 * far
    mtime = 0 if stamped else _TIMESTAMP_LIMIT
    return Lengths(
        len(local_header(b"", size=size, crc=0, mtime=mtime, descriptor=late)),
        len(descriptor(size=size, crc=0)) if late else 0,
        len(directory_record(b"", size=size, crc=0, mtime=mtime, descriptor=late, header_at=header_at)),
    )


def _flags(name: bytes, *, descriptor: bool) -> int:
    return (FLAG_DESCRIPTOR if descriptor else 0) | (0 if name.isascii() else _FLAG_UTF8)


def _timestamp(mtime: int) -> bytes:
    """The extended timestamp field (Info-ZIP's 0x5455) with the modification time alone, where 31 bits hold it."""
    return _EXTRA_TIMESTAMP.pack(0x5455, 5, 1, mtime) if 0 <= mtime < _TIMESTAMP_LIMIT else b""


_DOS_FIRST = timegm((1980, 1, 1, 0, 0, 0))
_DOS_LAST = timegm((2107, 12, 31, 23, 59, 58))
_DAY_SECONDS = 86_400


def _dos_time_date(mtime: int) -> tuple[int, int]:
    """DOS time and date: UTC, in steps of 2 s, and only 1980 to 2107."""
    day, second = divmod(max(_DOS_FIRST, min(mtime, _DOS_LAST)), _DAY_SECONDS)
    return second // 3600 << 11 | second // 60 % 60 << 5 | second % 60 // 2, _dos_date(day)


@lru_cache(maxsize=4096)
def _dos_date(day: int) -> int:
    t = gmtime(day * _DAY_SECONDS)
    return (t.tm_year - 1980) << 9 | t.tm_mon << 5 | t.tm_mday
