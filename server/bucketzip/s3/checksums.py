"""CRC-32 values as S3 writes them: base64 of four big-endian bytes, and `-N` behind a checksum of checksums."""

import base64
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bucketzip.archive.crc import crc32_combine

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import ObjectPartTypeDef


def full_object_crc(value: str | None, checksum_type: str | None) -> int | None:
    """The CRC-32 of the object's bytes; None where there is none, or one of its parts' CRCs instead (COMPOSITE).

    Servers may leave the type out for an object that was uploaded in one piece.
    """
    if not value or "-" in value or checksum_type not in {None, "FULL_OBJECT"}:
        return None
    try:
        raw = base64.b64decode(value, validate=True)
        return int(struct.unpack(">I", raw)[0])
    except (ValueError, struct.error):
        return None


def written(crc: int) -> str:
    """A CRC-32 as S3 takes it."""
    return base64.b64encode(struct.pack(">I", crc)).decode()


def joined_crc(parts: Iterable["ObjectPartTypeDef"]) -> tuple[int, int] | None:
    """(CRC-32, bytes) of an object by the CRCs of all its parts, in order; None where one has none."""
    crc = size = 0
    for part in parts:
        part_crc = full_object_crc(part.get("ChecksumCRC32"), None)
        if part_crc is None or "Size" not in part:
            return None
        crc, size = crc32_combine(crc, part_crc, part["Size"]), size + part["Size"]
    return crc, size
