"""The head of an answer to a ranged GET, read strictly: what is not exactly as asked is an error, never a guess.

Pure: bytes in, facts out. Fuzzed in the tests.
"""

import re
from typing import NamedTuple

from bucketzip.s3.signing import Range

MAX_HEAD_BYTES = 16 << 10
PARTIAL_CONTENT = 206

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n")
# A line is matched from its start, so that one folded into it (RFC 9112, 5.2) is not taken for a field of its own.
_LINE = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)\r\n", re.MULTILINE)
_NUMBER = re.compile(rb"[0-9]{1,19}")


class Malformed(Exception):
    """The answer is not what was asked for; the connection cannot be used any more."""


class Head(NamedTuple):
    """The facts of one answer's head."""

    status: int
    body_at: int
    """Where the body starts, counted from the first byte received."""
    length: int | None
    """Content-Length; None for an answer that ends with its last chunk or its connection."""
    chunked: bool
    keep: bool
    """Whether the connection stays usable after the body."""
    fields: dict[bytes, bytes]
    """By lower-case name; the last of several with one name, but for those that must not differ."""


def parse(data: bytes) -> Head | None:
    """The head of the final answer in `data`; None while it is not all there.

    Interim answers (1xx) are passed over, within the same MAX_HEAD_BYTES.
    """
    start = 0
    while True:
        end = data.find(b"\r\n\r\n", start, MAX_HEAD_BYTES)
        if end < 0:
            if len(data) >= MAX_HEAD_BYTES:
                raise Malformed(f"no end of head in {MAX_HEAD_BYTES} bytes")
            return None
        found = _STATUS.match(data, start)
        if not found:
            raise Malformed(f"status line {data[start : start + 80]!r}")
        status = int(found[1])
        if status >= 200:  # noqa: PLR2004  -- below are interim answers: RFC 9110, 15.2
            return _head(status, end + 4, _fields(data[found.end() : end + 2]))
        start = end + 4


def check_range(head: Head, wanted: Range, size: int) -> None:
    """Raise Malformed unless a 206 is exactly the range that was asked for, of the object that was asked for.

    Content-Encoding is no matter: S3 stores it beside the bytes and never transforms them.
    """
    expected = f"bytes {wanted.start}-{wanted.stop - 1}/{size}".encode()
    if (content_range := head.fields.get(b"content-range")) != expected:
        raise Malformed(f"Content-Range {content_range!r}, asked for {expected!r}")
    if head.length != wanted.stop - wanted.start:
        raise Malformed(f"Content-Length {head.length}, asked for {wanted.stop - wanted.start}")
    etag = head.fields.get(b"etag", b"")
    if etag.strip(b'"') != wanted.etag.encode().strip(b'"'):
        raise Malformed(f"ETag {etag!r} although If-Match was {wanted.etag}")


def _fields(lines: bytes) -> dict[bytes, bytes]:
    found = _LINE.findall(lines)
    if len(found) != lines.count(b"\n"):
        raise Malformed(f"header lines {lines[:200]!r}")
    fields = {name.lower(): value.strip(b" \t") for name, value in found}
    if len(fields) != len(found):
        for name, value in found:
            if name.lower() in _SINGLE and fields[name.lower()] != value.strip(b" \t"):
                raise Malformed(f"two values of {name.decode()}")
    return fields


_SINGLE = frozenset({b"content-length", b"content-range", b"etag", b"transfer-encoding"})


def _head(status: int, body_at: int, fields: dict[bytes, bytes]) -> Head:
    keep = b"close" not in fields.get(b"connection", b"").lower()
    length: int | None = None
    chunked = b"transfer-encoding" in fields
    if chunked:
        keep = False
    elif (text := fields.get(b"content-length")) is not None:
        if not _NUMBER.fullmatch(text):
            raise Malformed(f"Content-Length {text[:40]!r}")
        length = int(text)
    elif status in {204, 304}:
        length = 0
    else:
        keep = False
    return Head(status, body_at, length, chunked, keep, fields)
