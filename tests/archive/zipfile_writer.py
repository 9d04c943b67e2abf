"""What Python's zipfile would write: an encoder of the same records that shares no line with ours.

Content is passed over, so that an archive of terabytes costs nothing.
"""

import io
import struct
import time
import zipfile
from calendar import timegm
from unittest.mock import patch

from bucketzip.archive.manifest import Manifest

MAX_32 = 0xFFFF_FFFF
# By itself zipfile takes Zip64 from 2 GiB on, for the sake of old readers, and not yet for exactly 65,535 entries.
LIMITS_OF_THE_FORMAT = patch.multiple(zipfile, ZIP64_LIMIT=MAX_32 - 1, ZIP_FILECOUNT_LIMIT=0xFFFF - 1)
FIRST, LAST = timegm((1980, 1, 1, 0, 0, 0)), timegm((2107, 12, 31, 23, 59, 59))

Stretch = bytes | int
"""Records, or how long the content between them is."""


class Tape(io.RawIOBase):
    """A file that keeps the records, and of content the length."""

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []
        self._at = 0
        self._records = bytearray()

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes nothing else
        self._records += data
        self._at += len(data)
        return len(data)

    def pass_over(self, length: int) -> None:
        if length:
            self.flush()
            self.stretches.append(length)
            self._at += length

    def flush(self) -> None:
        if self._records:
            self.stretches.append(bytes(self._records))
            self._records.clear()

    def tell(self) -> int:
        return self._at


def written_by_zipfile(manifest: Manifest) -> list[Stretch]:
    """Return the archive as zipfile would write it, entry for entry, with the CRCs that the manifest knows."""
    tape = Tape()
    with LIMITS_OF_THE_FORMAT, zipfile.ZipFile(tape, "w") as archive:
        for entry in range(len(manifest)):
            info, inline = info_of(manifest, entry), manifest.inline(entry)
            info.header_offset = tape.tell()
            zip64 = info.file_size >= MAX_32
            tape.write(info.FileHeader(zip64))
            if inline is None:
                tape.pass_over(info.file_size)
            else:
                tape.write(inline)
            if manifest.late(entry):  # as in zipfile's writer of files, which wants to read the content itself
                sizes = struct.pack("<QQ" if zip64 else "<LL", info.file_size, info.file_size)
                tape.write(struct.pack("<4sL", b"PK\x07\x08", info.CRC) + sizes)
            archive.filelist.append(info)
        archive.start_dir = tape.tell()
    return tape.stretches


def info_of(manifest: Manifest, entry: int) -> zipfile.ZipInfo:
    name, mtime = manifest.name(entry).decode(), manifest.mtime(entry)
    info = zipfile.ZipInfo(name, time.gmtime(min(max(mtime, FIRST), LAST))[:6])
    info.file_size = info.compress_size = manifest.sizes[entry]
    info.CRC = manifest.crc(entry) or 0
    info.flag_bits = 1 << 3 if manifest.late(entry) else 0
    info.create_system = 3
    info.external_attr = 0o40755 << 16 | 0x10 if name.endswith("/") else 0o100644 << 16
    if mtime < 1 << 31:
        info.extra = struct.pack("<HHBl", 0x5455, 5, 1, mtime)
    return info
