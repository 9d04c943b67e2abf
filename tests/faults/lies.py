"""The lies a store can tell, each a change of its honest answer: `stub.on(gets("a"), lies.cut_short(100))`."""

import asyncio
import re
from dataclasses import replace

from tests.faults.asked import Asked
from tests.faults.content import Content, Given
from tests.faults.documents import error
from tests.faults.http_reply import After, Reply
from tests.faults.lying_s3 import Lie


def refuse(status: int, code: str, message: str = "") -> Lie:
    """Answer with one of S3's errors, and do nothing; the connection stays usable, as S3's does."""
    return lambda asked, honest: error(status, code, message=message)


def access_denied() -> Lie:
    return refuse(403, "AccessDenied")


def not_implemented() -> Lie:
    """What a store says to an operation that it does not have."""
    return refuse(501, "NotImplemented")


def slow_down() -> Lie:
    return refuse(503, "SlowDown")


def internal_error() -> Lie:
    return refuse(500, "InternalError")


def expired_token(code: int = 400) -> Lie:
    """400 by S3's list of errors; other stores say 403."""
    return refuse(code, "ExpiredToken")


def done_but(told: Lie) -> Lie:
    """Do what was asked, and then tell something else: `done_but(internal_error())` is an answer that got lost."""
    return lambda asked, honest: replace(told(asked, honest), effect=honest.effect)


def header(name: str, value: str | None) -> Lie:
    """Set a header, or leave it out."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        kept = {key: text for key, text in honest.headers.items() if key.lower() != name.lower()}
        return replace(honest, headers=kept if value is None else {**kept, name: value})

    return lie


def other_etag(etag: str = '"ffffffffffffffffffffffffffffffff"') -> Lie:
    """The object was replaced, and the server took no notice of If-Match."""
    return header("ETag", etag)


def wrong_content_range(value: str = "bytes 1-2/3") -> Lie:
    return header("Content-Range", value)


def status(code: int) -> Lie:
    """Only the status differs: 200 with the bytes of the range, as rclone does."""
    return lambda asked, honest: replace(honest, status=code)


def whole_object() -> Lie:
    """Answer a Range with 200 and all of the object, as a server that knows no ranges does."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        size = honest.content.size
        whole = header("Content-Range", None)(asked, replace(honest, status=200, start=0, stop=size))
        return header("Content-Length", str(size))(asked, whole)

    return lie


def cut_short(after_bytes: int) -> Lie:
    """Promise all, send so much of the body, and close."""
    return lambda asked, honest: replace(honest, stop=min(honest.stop, honest.start + after_bytes), after=After.CLOSE)


def stalled(after_bytes: int) -> Lie:
    """Promise all, send so much of the body, and then nothing more."""
    return lambda asked, honest: replace(honest, stop=min(honest.stop, honest.start + after_bytes), after=After.STALL)


def short_range(missing_bytes: int = 1) -> Lie:
    """Send less than the range, and say so in Content-Length but not in Content-Range."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        less = replace(honest, stop=honest.stop - missing_bytes)
        return header("Content-Length", str(less.stop - less.start))(asked, less)

    return lie


def byte_too_many(extra: bytes = b"!") -> Lie:
    """More than Content-Length says, on a connection that is kept."""
    return lambda asked, honest: replace(honest, behind=extra)


def other_bytes(at: int) -> Lie:
    """One byte of the object differs, everything else is as it should be."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        return replace(honest, content=_Changed(honest.content, at))

    return lie


def chunked() -> Lie:
    """Transfer-Encoding: chunked in place of Content-Length, which S3 never does for an object."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        without_length = header("Content-Length", None)(asked, replace(honest, chunked=True))
        return header("Transfer-Encoding", "chunked")(asked, without_length)

    return lie


def empty_reason() -> Lie:
    """`HTTP/1.1 206 ` and nothing behind it, as LocalStack does."""
    return lambda asked, honest: replace(honest, reason="")


def closes() -> Lie:
    """`Connection: close` with every answer, as LocalStack and moto do."""
    return lambda asked, honest: header("Connection", "close")(asked, replace(honest, after=After.CLOSE))


def continues_first(times: int = 1) -> Lie:
    """100 Continue before the answer, unasked; moto sends two."""
    return lambda asked, honest: replace(honest, before=b"HTTP/1.1 100 Continue\r\n\r\n" * times)


def garbage_head(head: bytes = b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n") -> Lie:
    """Something that is not HTTP; by default what a TLS server tells one that speaks no TLS."""
    return lambda asked, honest: replace(honest, head=head, stop=honest.start, after=After.CLOSE)


def huge_header(size_bytes: int = 100_000) -> Lie:
    return header("x-amz-meta-huge", "x" * size_bytes)


def slow_first_byte(seconds: float) -> Lie:
    return lambda asked, honest: replace(honest, delay_seconds=seconds)


def held(until: asyncio.Event) -> Lie:
    """Nothing comes before the test says so."""
    return lambda asked, honest: replace(honest, held=until)


def crawling(piece_seconds: float) -> Lie:
    """256 KiB at a time, with pauses."""
    return lambda asked, honest: replace(honest, piece_seconds=piece_seconds)


def edited(*changes: tuple[str, str]) -> Lie:
    """Put another text for each regular expression in the document, all of which must be there."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        text = honest.content.read(0, honest.content.size).decode()
        for pattern, by in changes:
            text, count = re.subn(pattern, by, text)
            assert count, f"no {pattern} in {text}"
        body = text.encode()
        return header("Content-Length", str(len(body)))(asked, replace(honest, content=Given(body), stop=len(body)))

    return lie


class _Changed:
    def __init__(self, content: Content, at: int) -> None:
        self._content = content
        self._at = at
        self.size = content.size

    def read(self, start: int, stop: int) -> bytes:
        data = bytearray(self._content.read(start, stop))
        if start <= self._at < start + len(data):
            data[self._at - start] ^= 0xFF
        return bytes(data)
