"""CRC-32 values as S3 writes them: base64 of four big-endian bytes, and `-N` behind a checksum of checksums."""

import base64
import struct


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
