"""The check: a file on disk, byte for byte, against what the server says of the archive.

All that decides a byte of an archive stands in its `manifest.json`. So every record is encoded anew and compared as a
whole, and of every content the CRC. Manifest and file are read once, from front to end; memory does not grow with
either.
"""

from collections.abc import Callable
from io import BufferedReader, FileIO
from pathlib import Path
from typing import NamedTuple

from bucketzip.archive import records
from bucketzip.archive.crc import crc32
from bucketzip.verify.directory import explain
from bucketzip.verify.fields import first_difference
from bucketzip.verify.manifest_json import Entry, Listing
from bucketzip.verify.report import Report

READ_BYTES = 1 << 20
"""Content is read by so much at a time."""
BUFFER_BYTES = 128 << 10
"""Records and small contents are read together up to this."""

_CRC_AT, _NAME_AT = 16, 46  # in a directory record
_END_64 = b"PK\6\6"


class _Differing(NamedTuple):
    """A record and what stands in its place."""

    name: str | None
    kind: str
    expected: bytes
    found: bytes


class Checker:
    """Checks one file that is not compressed. `progress` is told up to which byte it has come."""

    def __init__(self, path: Path, listing: Listing, *, show: int, progress: Callable[[int], None]) -> None:
        self.report = Report(show, path.stat().st_size, listing.bytes, listing.entry_count)
        self._path = path
        self._listing = listing
        self._progress = progress
        self._block = memoryview(bytearray(READ_BYTES))
        self._directory_differs: _Differing | None = None

    def run(self) -> Report:
        """Check all of it, or only the size where bytes are missing. Raises CannotVerify and OSError."""
        report = self.report
        if report.file_bytes != report.announced_bytes:
            report.add(None, "size", f"{report.announced_bytes} bytes", f"{report.file_bytes} bytes")
        if not report.missing_bytes:
            with _opened(self._path) as content, _opened(self._path) as directory:
                self._check(content, directory)
            if self._directory_differs is not None:
                self._explain(self._directory_differs)
        return report

    def _check(self, content: BufferedReader, directory: BufferedReader) -> None:
        listing = self._listing
        assert listing.directory_offset is not None
        directory_at = directory.seek(listing.directory_offset)
        for entry in listing:
            self._check_entry(entry, content, directory)
            self.report.checked_entries += 1
        size = directory.tell() - directory_at
        end = records.end_records(entries=listing.entry_count, directory_at=directory_at, directory_size=size)
        kind = "Zip64 end records" if end.startswith(_END_64) else "end record"
        self._compare_directory(None, kind, end, directory.read(len(end)))

    def _check_entry(self, entry: Entry, content: BufferedReader, directory: BufferedReader) -> None:
        assert entry.offset is not None
        name, size, mtime, late = entry.name.encode(), entry.size, entry.mtime, entry.descriptor
        lengths = records.lengths(size=size, mtime=mtime, descriptor=late, header_at=entry.offset)
        if content.tell() != entry.offset:
            content.seek(entry.offset)
        header = content.read(lengths.header + len(name))
        crc_read = self._read_content(content, size)
        descriptor = content.read(lengths.descriptor)
        record = directory.read(lengths.directory + len(name))

        crc = entry.crc
        if crc is None:
            crc = self._crc_told_by(record, name, crc_read)
        if crc_read != crc:
            self.report.add(entry.name, "content, CRC-32", f"{crc:08x}", f"{crc_read:08x}")
        self._compare(
            entry.name,
            "local header",
            records.local_header(name, size=size, crc=crc, mtime=mtime, descriptor=late),
            header,
        )
        if late:
            kind = "Zip64 descriptor" if size >= records.LIMIT_32 else "descriptor"
            self._compare(entry.name, kind, records.descriptor(size=size, crc=crc), descriptor)
        self._compare_directory(
            entry.name,
            "directory record",
            records.directory_record(name, size=size, crc=crc, mtime=mtime, descriptor=late, header_at=entry.offset),
            record,
        )

    def _read_content(self, content: BufferedReader, size: int) -> int:
        """The CRC of the next `size` bytes, or of those that there are."""
        crc = 0
        while size and (count := content.readinto(self._block[:size])):
            crc = crc32(self._block[:count], crc)
            size -= count
            self._progress(content.tell())
        return crc

    def _crc_told_by(self, record: bytes, name: bytes, otherwise: int) -> int:
        """The CRC in an entry's directory record, where it is one."""
        if not record[_NAME_AT:].startswith(name):
            return otherwise
        self.report.crcs_from_directory += 1
        return int.from_bytes(record[_CRC_AT : _CRC_AT + 4], "little")

    def _compare(self, name: str | None, kind: str, expected: bytes, found: bytes) -> None:
        if expected != found:
            difference = first_difference(kind, expected, found, name)
            self.report.add(name, f"{kind}, {difference.field}", difference.expected, difference.found)

    def _compare_directory(self, name: str | None, kind: str, expected: bytes, found: bytes) -> None:
        """Only note the first: where a record was added or is missing, all behind it seem to be wrong."""
        if expected != found and self._directory_differs is None:
            self._directory_differs = _Differing(name, kind, expected, found)

    def _explain(self, first: _Differing) -> None:
        """Say by name what is wrong with the directory, else which field of the first record that is."""
        before = self.report.difference_count
        explain(self._path, self._listing, self.report)
        if self.report.difference_count == before:
            self._compare(*first)


def _opened(path: Path) -> BufferedReader:
    return BufferedReader(FileIO(path), BUFFER_BYTES)
