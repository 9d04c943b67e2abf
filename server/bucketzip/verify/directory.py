"""What of an archive's directory is not as announced, entry by entry.

Python's zipfile reads it, which finds its way where records were added or removed. It takes some 0.7 KiB of memory an
entry, so it is asked only once the directory is known to differ.
"""

import struct
import zipfile
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path

from bucketzip.archive import records
from bucketzip.verify.manifest_json import Entry, Listing
from bucketzip.verify.report import Report

UNREADABLE = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, OSError, struct.error)
"""What zipfile raises of damaged directories."""

_END_64 = b"PK\6\6"


class DirectoryRecords:
    """Compares the records of a directory one after the other; `tell` what came of it.

    Only the first that differs is noted: where a record was added or is missing, all behind it seem to be wrong.
    """

    def __init__(self, path: Path, listing: Listing, report: Report) -> None:
        self._path = path
        self._listing = listing
        self._report = report
        self._first: tuple[str | None, str, bytes, bytes] | None = None

    def compare(self, entry: str | None, kind: str, expected: bytes, found: bytes) -> None:
        """A record, and what stands in its place."""
        if expected != found and self._first is None:
            self._first = entry, kind, expected, found

    def compare_end(self, directory_at: int, size: int, found: BufferedReader) -> None:
        """What stands behind all of them; the file is read to the end of that."""
        end = records.end_records(entries=self._listing.entry_count, directory_at=directory_at, directory_size=size)
        kind = "Zip64 end records" if end.startswith(_END_64) else "end record"
        self.compare(None, kind, end, found.read(len(end)))

    def tell(self) -> None:
        """Say by name what is wrong with the directory, else which field of the first record that is."""
        if self._first is None:
            return
        before = self._report.difference_count
        explain(self._path, self._listing, self._report)
        if self._report.difference_count == before:
            self._report.compare(*self._first)


def explain(path: Path, entries: Iterable[Entry], report: Report) -> None:
    """Add what is missing, what is there and should not be, and whose size, CRC or place is another."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except UNREADABLE as error:
        report.add(None, "central directory", "one that can be read", str(error) or type(error).__name__)
        return
    found: dict[str, zipfile.ZipInfo] = {}
    for record in records:
        if record.orig_filename in found:
            report.add(record.orig_filename, "directory record", "one", "another one of the same name")
        found[record.orig_filename] = record
    for entry in entries:
        other = found.pop(entry.name, None)
        if other is None:
            report.add(entry.name, "directory record", "one", "none")
            continue
        if other.file_size != entry.size:
            report.add(entry.name, "directory record, size", entry.size, other.file_size)
        if entry.crc is not None and entry.crc != other.CRC:
            report.add(entry.name, "directory record, CRC-32", f"{entry.crc:08x}", f"{other.CRC:08x}")
        if entry.offset is not None and other.header_offset != entry.offset:
            report.add(entry.name, "directory record, offset", entry.offset, other.header_offset)
    for name in found:
        report.add(name, "directory record", "none, since it is not in the manifest", "one")
