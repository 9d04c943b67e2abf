"""The check of a compressed archive: nobody knows its length beforehand, but all of it follows from its contents.

The directory tells how long each content has become, and the manifest all else. So here, too, every record is encoded
anew and compared as a whole, and every content is unpacked. It takes some 0.7 KiB of memory an entry, which Python's
zipfile needs to read the directory.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path

from bucketzip.archive import records
from bucketzip.archive.crc import crc32
from bucketzip.archive.deflate import bound
from bucketzip.verify.check import opened
from bucketzip.verify.directory import UNREADABLE, DirectoryRecords, explain
from bucketzip.verify.manifest_json import Entry, Listing
from bucketzip.verify.report import Report

READ_BYTES = 1 << 20


class CompressedChecker:
    """Checks one file. `progress` is told up to which byte it has come."""

    def __init__(self, path: Path, listing: Listing, *, show: int, progress: Callable[[int], None]) -> None:
        self.report = Report(show, path.stat().st_size, None, listing.entry_count)
        self._path = path
        self._listing = listing
        self._progress = progress
        self._records = DirectoryRecords(path, listing, self.report)

    def run(self) -> Report:
        """Check all of it; of an archive of other entries only the directory. Raises CannotVerify and OSError."""
        try:
            with zipfile.ZipFile(self._path) as archive:
                directory_at, infos = archive.start_dir, archive.infolist()
        except UNREADABLE:
            explain(self._path, self._listing, self.report)
            return self.report
        if self._is_in_order(infos):
            with opened(self._path) as content, opened(self._path) as directory:
                directory.seek(directory_at)
                self._check(infos, content, directory)
            self._records.tell()
        return self.report

    def _is_in_order(self, infos: Sequence[zipfile.ZipInfo]) -> bool:
        """Whether just those entries are there that were announced, in their order; else that is told."""
        for entry, info in zip_longest(self._listing, infos):
            if entry is None or info is None or entry.name != info.orig_filename:
                explain(self._path, self._listing, self.report)
                if not self.report.difference_count:
                    self.report.add(entry.name, "place in the directory", entry.name, info.orig_filename)
                return False
        return True

    def _check(self, infos: Sequence[zipfile.ZipInfo], content: BufferedReader, directory: BufferedReader) -> None:
        directory_at = directory.tell()
        for entry, info in zip(self._listing, infos, strict=True):
            self._check_entry(entry, info, content, directory)
            self.report.checked_entries += 1
        if content.tell() != directory_at:
            self.report.add(None, "central directory", f"at byte {content.tell()}", f"at byte {directory_at}")
        self._records.compare_end(directory_at, directory.tell() - directory_at, directory)
        if extra := self.report.file_bytes - directory.tell():
            self.report.add(None, "size", f"{directory.tell()} bytes", f"{directory.tell() + extra} bytes")

    def _check_entry(
        self, entry: Entry, info: zipfile.ZipInfo, content: BufferedReader, directory: BufferedReader
    ) -> None:
        name, size, mtime, at = entry.name.encode(), entry.size, entry.mtime, content.tell()
        packed = None if info.compress_type == zipfile.ZIP_STORED else info.compress_size
        late = packed is not None and bool(info.flag_bits & records.FLAG_DESCRIPTOR)
        zip64 = records.needs_zip64(size, bound(size))
        crc = info.CRC if entry.crc is None else entry.crc
        self.report.crcs_from_directory += entry.crc is None
        if late:
            header = records.open_header(name, mtime=mtime, zip64=zip64)
        else:
            header = records.local_header(name, size=size, crc=crc, mtime=mtime, descriptor=False, deflated=packed)
        self.report.compare(entry.name, "local header", header, content.read(len(header)))
        self._check_content(entry, crc, info, content)
        if late:
            kind = "Zip64 descriptor" if zip64 else "descriptor"
            descriptor = records.descriptor(size=size, crc=crc, deflated=packed, zip64=zip64)
            self.report.compare(entry.name, kind, descriptor, content.read(len(descriptor)))
        record = records.directory_record(
            name, size=size, crc=crc, mtime=mtime, descriptor=late, header_at=at, deflated=packed
        )
        self._records.compare(entry.name, "directory record", record, directory.read(len(record)))

    def _check_content(self, entry: Entry, crc: int, info: zipfile.ZipInfo, content: BufferedReader) -> None:
        end, size, crc_read = content.tell() + info.compress_size, 0, 0
        unpacked = _stored if info.compress_type == zipfile.ZIP_STORED else _inflated
        try:
            for piece in unpacked(self._pieces(content, end)):
                size, crc_read = size + len(piece), crc32(piece, crc_read)
        except (zlib.error, ValueError) as error:
            self.report.add(entry.name, "content", "one that unpacks", error)
        else:
            if size != entry.size:
                self.report.add(entry.name, "content, size", entry.size, size)
            elif crc_read != crc:
                self.report.add(entry.name, "content, CRC-32", f"{crc:08x}", f"{crc_read:08x}")
        content.seek(end)

    def _pieces(self, content: BufferedReader, end: int) -> Iterator[bytes]:
        while piece := content.read(min(READ_BYTES, end - content.tell())):
            self._progress(content.tell())
            yield piece


def _stored(pieces: Iterator[bytes]) -> Iterator[bytes]:
    return pieces


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What a deflate stream holds. Raises zlib.error, and ValueError unless it ends just where the pieces do."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in pieces:
        if stream.eof:
            raise ValueError("more behind its end")
        yield stream.decompress(piece, READ_BYTES)
        while stream.unconsumed_tail:
            yield stream.decompress(stream.unconsumed_tail, READ_BYTES)
    yield stream.flush()
    if stream.unused_data:
        raise ValueError("more behind its end")
    if not stream.eof:
        raise ValueError("one without an end")
