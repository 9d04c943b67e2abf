"""`manifest.json`: what an archive holds, for programs. How it is written, and how it is read.

It is one JSON object, and also text with one entry a line, so that a million entries are written and read a line at a
time:

    {"format":1,"filename":"photos.zip","bytes":121684743,...,"entry_count":2,"entries":[
    {"name":"a.txt",...},
    {"name":"b.txt",...}
    ]}
"""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO, NamedTuple

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import FORMAT_VERSION, Manifest, Source
from bucketzip.verify import CannotVerify

TAIL = b"]}\n"
STORE = "store"

_END_BYTES = 16  # enough for the tail, whatever white space an editor left behind it
_LIMIT = 1 << 63  # of a place in a file
_LONGEST_NAME_BYTES = 0xFFFF

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def head(layout: Layout, filename: str, compression: str = STORE) -> bytes:
    """The first line: what is known of the archive as a whole."""
    stored = compression == STORE
    fields = {
        "format": FORMAT_VERSION,
        "filename": filename,
        "compression": compression,
        "bytes": layout.size if stored else None,
        "etag": layout.etag if stored else None,
        "directory_offset": layout.manifest.content_bytes if stored else None,
        "entry_count": len(layout.manifest),
        "entries": [],
    }
    return _encode(fields).removesuffix("]}").encode() + b"\n"


def lines(manifest: Manifest, entries: range, crc: Callable[[int], int | None], compression: str = STORE) -> bytes:
    """The lines of some entries; `crc` gives the CRC of an entry, where it is known."""
    stored = compression == STORE
    last = len(manifest) - 1
    return b"".join(
        _encode(_fields(manifest, entry, crc(entry), stored=stored)).encode() + (b"\n" if entry == last else b",\n")
        for entry in entries
    )


def _fields(manifest: Manifest, entry: int, crc: int | None, *, stored: bool) -> dict[str, object]:
    source = manifest.source(entry)
    return {
        "name": manifest.name(entry).decode(),
        "bytes": manifest.sizes[entry],
        "crc32": None if crc is None else f"{crc:08x}",
        "modified": datetime.fromtimestamp(manifest.mtime(entry), UTC).isoformat().replace("+00:00", "Z"),
        "offset": manifest.positions[entry] if stored else None,
        "descriptor": manifest.late(entry) if stored else None,
        "source": _source(source) if isinstance(source, Source) else None,
    }


def _source(source: Source) -> dict[str, str | None]:
    return {**source._asdict(), "version_id": source.version_id or None}


class Entry(NamedTuple):
    """One entry, as far as it decides bytes of the archive. `mtime` is in seconds since 1970, UTC."""

    name: str
    size: int
    crc: int | None
    mtime: int
    offset: int | None
    """Of its local header in the archive; None in a compressed one."""
    descriptor: bool
    """Whether the CRC stands behind the content instead of in the header."""


class Listing:
    """A `manifest.json`, read from a file that must outlive it. Raises CannotVerify where that is no such thing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        line = file.readline()
        try:
            fields = json.loads(line + TAIL)
            version = fields["format"]
            self.filename = str(fields["filename"])
            self.compressed = fields.get("compression", STORE) != STORE
            self.bytes = None if self.compressed else _number(fields["bytes"])
            self.directory_offset = None if self.compressed else _number(fields["directory_offset"])
            self.entry_count = _number(fields["entry_count"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CannotVerify(
                "this is not the manifest.json of a bucketzip link, or not as the server sent it (one entry a line)"
            ) from error
        if version != FORMAT_VERSION:
            raise CannotVerify(
                f"the archive is of format {version}, and this release reads {FORMAT_VERSION}: "
                "verify with the server's release of bucketzip"
            )
        self._entries_at = len(line)
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - _END_BYTES, 0))
        if not file.read().rstrip().endswith(TAIL.rstrip()):
            raise CannotVerify("the manifest is cut short: fetch it again")

    def __iter__(self) -> Iterator[Entry]:
        """The entries in the order of the directory, each time from the first."""
        self._file.seek(self._entries_at)
        count = 0
        for line in self._file:
            if line.startswith(b"]"):
                break
            count += 1
            try:
                yield _entry(line)
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise CannotVerify(f"line {count + 1} of the manifest cannot be read: {line[:200]!r}") from error
        if count != self.entry_count:
            raise CannotVerify(f"the manifest has {count:,} entries, and says {self.entry_count:,}: fetch it again")


def _entry(line: bytes) -> Entry:
    fields = json.loads(line.rstrip(b",\r\n"))
    name, crc = fields["name"], fields["crc32"]
    if not isinstance(name, str) or len(name.encode()) > _LONGEST_NAME_BYTES:
        raise ValueError("not a name")
    return Entry(
        name=name,
        size=_number(fields["bytes"]),
        crc=None if crc is None else _number(int(crc, 16), 1 << 32),
        mtime=_number(int(datetime.fromisoformat(fields["modified"]).timestamp()), 1 << 32),
        offset=None if fields["offset"] is None else _number(fields["offset"]),
        descriptor=fields["descriptor"] is True,
    )


def _number(value: object, limit: int = _LIMIT) -> int:
    if not isinstance(value, int) or not 0 <= value < limit:
        raise ValueError(f"not a number below {limit}")
    return value
