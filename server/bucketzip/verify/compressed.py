"""The check of a compressed archive: nobody knows its bytes beforehand, but its contents are all known.

Names, sizes, CRCs and their order are compared with the manifest, and every content is unpacked. It takes some 0.7 KiB
of memory an entry, which Python's zipfile needs to read the directory.
"""

import zipfile
import zlib
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

from bucketzip.verify.directory import UNREADABLE, explain
from bucketzip.verify.manifest_json import Listing
from bucketzip.verify.report import Report

READ_BYTES = 1 << 20


class CompressedChecker:
    """Checks one file. `progress` is told up to which byte it has come."""

    def __init__(self, path: Path, listing: Listing, *, show: int, progress: Callable[[int], None]) -> None:
        self.report = Report(show, path.stat().st_size, None, listing.entry_count)
        self._path = path
        self._listing = listing
        self._progress = progress

    def run(self) -> Report:
        """Check all of it. Raises CannotVerify and OSError."""
        explain(self._path, self._listing, self.report)
        try:
            with zipfile.ZipFile(self._path) as archive:
                self._check_order(archive)
                for info in archive.infolist():
                    self._check_content(archive, info)
        except zipfile.BadZipFile:  # which `explain` has told
            assert self.report.difference_count
        return self.report

    def _check_order(self, archive: zipfile.ZipFile) -> None:
        if self.report.difference_count:
            return  # where names differ, their order does
        for entry, info in zip_longest(self._listing, archive.infolist()):
            if entry.name != info.orig_filename:
                self.report.add(entry.name, "place in the directory", entry.name, info.orig_filename)
                return
            self.report.crcs_from_directory += entry.crc is None

    def _check_content(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        """Unpack it, which compares its CRC with that of the directory."""
        try:
            with archive.open(info) as content:
                while content.read(READ_BYTES):
                    self._progress(min(info.header_offset + info.compress_size, self.report.file_bytes))
        except (*UNREADABLE, zlib.error) as error:
            self.report.add(info.orig_filename, "content", "one that unpacks", str(error) or type(error).__name__)
        self.report.checked_entries += 1
