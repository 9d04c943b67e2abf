"""Deflate in blocks, which can be compressed side by side and still make one stream.

A content is cut at multiples of `BLOCK_BYTES`. Each block starts from the 32 KiB in front of it as its dictionary and
ends at a byte's border (a sync flush, the last one finished), so the blocks in order are one raw deflate stream (RFC
1951), as long as one that was made in one go. What a block becomes follows from its bytes, those 32 KiB, whether it is
the last, and the level alone, whoever compresses it, and in whatever pieces it came.

Whole contents of up to a block, which most small files are, and blocks of longer ones are not for the same library:

-   Levels 1 to 3 are isal's: none is faster.
-   From 4 on a whole content is libdeflate's, faster than zlib-ng and no longer. It makes whole streams only and takes
    no dictionary, so the blocks of longer contents are zlib-ng's. Of that 8 is the strongest here: its 9 makes logs
    longer than its 7 does.

Speed and size beside those of zlib's 6, on one core, of text, in whole files of 17 KiB on average and in blocks:

    level   1             3             4            5            6            7            8            9
    files   7.4x, +17 %   5.6x, +11 %   2.6x, +3 %   2.3x, +1 %   2.1x, 0 %    1.7x, -1 %   1.0x, -2 %   0.8x, -2 %
    blocks  12x, +22 %    7.8x, +14 %   2.8x, +4 %   2.4x, +1 %   1.9x, +1 %   1.2x, 0 %    0.5x, -1 %   0.5x, -1 %
"""

import struct
from zlib import DEFLATED, Z_FINISH, Z_SYNC_FLUSH

from deflate import deflate_compress
from isal import isal_zlib
from zlib_ng import zlib_ng

BLOCK_BYTES = 256 << 10
DICTIONARY_BYTES = 32 << 10
LEAST_LEVEL, STRONGEST_LEVEL = 1, 9
SAMPLE_BYTES = 64 << 10
LEAST_GAIN = 0.05
"""A content whose sample shrinks by less is not worth the work, here and for who unpacks it."""

_STRONGEST_OF_ISAL = 3
_STRONGEST_OF_ZLIB_NG = 8
_RAW = -15  # no zlib head and checksum around the stream
_STORED_HEAD = struct.Struct("<BHH")
_STORED_BYTES = 0xFFFF


def compress(data: bytes, *, level: int, dictionary: bytes = b"", last: bool) -> bytes:
    """One block of the stream, never longer than `bound` says.

    `dictionary` is what stands in front of the block, up to `DICTIONARY_BYTES` of it; `last` ends the stream. Without
    the one and with the other the block is a whole content.
    """
    squeezed = _part(data, level, dictionary, last=last) if dictionary or not last else _whole(data, level)
    return squeezed if len(squeezed) <= bound(len(data)) else wrap(data, last=last)


def _whole(data: bytes, level: int) -> bytes:
    if level <= _STRONGEST_OF_ISAL:
        return isal_zlib.compress(data, level, _RAW)
    return bytes(deflate_compress(data, level))


def _part(data: bytes, level: int, dictionary: bytes, *, last: bool) -> bytes:
    library = isal_zlib if level <= _STRONGEST_OF_ISAL else zlib_ng
    compressor = library.compressobj(min(level, _STRONGEST_OF_ZLIB_NG), DEFLATED, _RAW, zdict=dictionary)
    squeezed: bytes = compressor.compress(data) + compressor.flush(Z_FINISH if last else Z_SYNC_FLUSH)
    return squeezed


def wrap(data: bytes, *, last: bool) -> bytes:
    """One block of the stream, not compressed."""
    out = bytearray()
    for start in range(0, max(len(data), 1), _STORED_BYTES):
        piece = data[start : start + _STORED_BYTES]
        final = last and start + _STORED_BYTES >= len(data)
        out += _STORED_HEAD.pack(final, len(piece), len(piece) ^ 0xFFFF)
        out += piece
    return bytes(out)


def bound(size: int) -> int:
    """The most bytes that a content of `size` bytes can become: 25 more for each 256 KiB, which is 0.01 %."""
    blocks, rest = divmod(size, BLOCK_BYTES)
    return blocks * _wrapped(BLOCK_BYTES) + (_wrapped(rest) if rest or not blocks else 0)


def _wrapped(size: int) -> int:
    return size + _STORED_HEAD.size * max(1, -(-size // _STORED_BYTES))


def shrinks(block: bytes) -> bool:
    """Whether a content is worth compressing, by a look at the end of its first block, behind what heads it."""
    sample = block[-SAMPLE_BYTES:]
    return len(compress(sample, level=LEAST_LEVEL, last=True)) <= len(sample) * (1 - LEAST_GAIN)
