"""What of an archive's directory is not as announced, entry by entry.

Python's zipfile reads it, which finds its way where records were added or removed. It takes some 0.7 KiB of memory an
entry, so it is asked only once the directory is known to differ.
"""

import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

from bucketzip.verify.manifest_json import Entry
from bucketzip.verify.report import Report

UNREADABLE = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, OSError, struct.error)
"""What zipfile raises of damaged directories."""


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
