"""CRC-32 values as S3 stores and writes them: of all bytes (FULL_OBJECT), or of the CRCs of the parts (COMPOSITE)."""

import base64
from collections.abc import Iterable
from typing import Literal

from isal.isal_zlib import crc32

from tests.faults.content import Content

STEP_BYTES = 1 << 20

ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]


def crc_of(content: Content) -> int:
    crc = 0
    for start in range(0, content.size, STEP_BYTES):
        crc = crc32(content.read(start, min(start + STEP_BYTES, content.size)), crc)
    return crc


def composite_of(part_crcs: Iterable[int]) -> int:
    return crc32(b"".join(crc.to_bytes(4, "big") for crc in part_crcs))


def encoded(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
