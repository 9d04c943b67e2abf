"""CRC-32 as ZIP and S3 both use it (IEEE 802.3), from isal: 6.8 GB/s a core measured, zlib 1.2."""

from isal.isal_zlib import crc32, crc32_combine

__all__ = ["crc32", "crc32_combine"]
