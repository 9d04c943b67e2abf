"""The check: a file on disk, byte for byte, against what the server says of the archive.

All that decides a byte of an archive stands in its `manifest.json`. So every record is encoded anew and compared as a
whole, and of every content the CRC. Manifest and file are read once, from front to end; memory does not grow with
either.
"""

from collections.abc import Callable
from io import BufferedReader, FileIO
from pathlib import Path

from bucketzip.archive import records
from bucketzip.archive.crc import crc32
from bucketzip.verify.directory import DirectoryRecords
from bucketzip.verify.manifest_json import Entry, Listing
from bucketzip.verify.report import Report

READ_BYTES = 1 << 20
"""Content is read by so much at a time."""
BUFFER_BYTES = 128 << 10
"""Records and small contents are read together up to this."""

_CRC_AT, _NAME_AT = 16, 46  # in a directory record


class Checker:
    """Checks one file that is not compressed. `progress` is told up to which byte it has come."""

    def __init__(self, path: Path, listing: Listing, *, show: int, progress: Callable[[int], None]) -> None:
        self.report = Report(show, path.stat().st_size, listing.bytes, listing.entry_count)
        self._path = path
        self._listing = listing
        self._progress = progress
        self._block = memoryview(bytearray(READ_BYTES))
        self._records = DirectoryRecords(path, listing, self.report)

    def run(self) -> Report:
        """Check all of it, or only the size where bytes are missing. Raises CannotVerify and OSError."""
        report = self.report
        if report.file_bytes != report.announced_bytes:
            report.add(None, "size", f"{report.announced_bytes} bytes", f"{report.file_bytes} bytes")
        if not report.missing_bytes:
            with opened(self._path) as content, opened(self._path) as directory:
                self._check(content, directory)
            self._records.tell()
        return report

    def _check(self, content: BufferedReader, directory: BufferedReader) -> None:
        listing = self._listing
        assert listing.directory_offset is not None
        directory_at = directory.seek(listing.directory_offset)
        for entry in listing:
            self._check_entry(entry, content, directory)
            self.report.checked_entries += 1
        self._records.compare_end(directory_at, directory.tell() - directory_at, directory)

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
        self.report.compare(
            entry.name,
            "local header",
            records.local_header(name, size=size, crc=crc, mtime=mtime, descriptor=late),
            header,
        )
        if late:
            kind = "Zip64 descriptor" if size >= records.LIMIT_32 else "descriptor"
            self.report.compare(entry.name, kind, records.descriptor(size=size, crc=crc), descriptor)
        self._records.compare(
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


def opened(path: Path) -> BufferedReader:
    """A file that is read from front to end."""
    return BufferedReader(FileIO(path), BUFFER_BYTES)
