"""One connection to S3, carrying one ranged GET after another. Callbacks, no task and no future a request.

The head, and a small body behind it, land in a scratch buffer of the connection; a large body goes from the socket
straight into the fetch's blocks (`recv_into`). `get_buffer` always returns a memoryview, as asyncio's TLS needs, and
is never empty.
"""

import asyncio
import ssl
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import cast

from bucketzip.errors import BucketzipError, S3Error, S3Unreachable, SlowDown
from bucketzip.s3.errors import Whose, from_s3, parse_error
from bucketzip.s3.head import MAX_HEAD_BYTES, PARTIAL_CONTENT, Head, Malformed, check_range, parse
from bucketzip.s3.signing import Range
from bucketzip.transfer.blocks import SMALL_BODY_BYTES
from bucketzip.transfer.fetch import Fetch

_SCRATCH_BYTES = MAX_HEAD_BYTES + SMALL_BODY_BYTES
_LAST_CHUNK = b"0\r\n\r\n"


class Refused(Exception):
    """S3 answered with an error."""

    def __init__(self, status: int, code: str, message: str, date: str, where: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.date = date
        self._said = (status, code, message, where)
        self.error: BucketzipError = from_s3(*self._said)
        self.slow_down = isinstance(self.error, SlowDown)

    def signed_by(self, whose: Whose) -> None:
        """Tell whose credentials were refused."""
        self.error = from_s3(*self._said, whose=whose)

    def server_time(self) -> float | None:
        """Seconds since 1970 by S3's clock, where the answer tells."""
        try:
            return parsedate_to_datetime(self.date).timestamp()
        except (ValueError, OverflowError):
            return None


Begun = Callable[["RangeConnection"], None]
Done = Callable[["RangeConnection", Exception | None], None]


class RangeConnection(asyncio.BufferedProtocol):
    """A connection, idle or with one request in flight.

    `on_begun` is called before the first byte of a large body goes into its fetch; until then, and for a small body
    until it is whole, the fetch is not touched. `on_done` is called once a request: with None when the fetch is
    complete, else with Refused, Malformed or OSError. `on_lost` is called once a connection.
    """

    def __init__(self, on_begun: Begun, on_done: Done, on_lost: Callable[["RangeConnection"], None]) -> None:
        self._on_begun = on_begun
        self._on_done = on_done
        self._on_lost = on_lost
        self._scratch = bytearray(_SCRATCH_BYTES)
        self._view = memoryview(self._scratch)
        self._filled = 0
        self._transport: asyncio.Transport | None = None
        self._fetch: Fetch | None = None
        self._wanted: Range | None = None
        self._head: Head | None = None
        self._straight = False  # the body goes straight into the fetch
        self.usable = True
        """Whether another request may be sent."""
        self.requests = 0
        self.got_bytes = False
        """Whether anything of the answer to the current request has come."""
        self.moved = False
        """Set whenever bytes come; whoever watches for stalls clears it."""
        self.opened_at = self.free_at = asyncio.get_running_loop().time()
        """`free_at`: when the last request ended; kept by whoever sends them."""

    def send(self, fetch: Fetch, wanted: Range, request: bytes) -> None:
        """Send a signed request for the bytes that are still missing in the fetch."""
        assert self._transport is not None
        assert self._fetch is None
        self._fetch, self._wanted, self._head = fetch, wanted, None
        self._filled, self._straight = 0, False
        self.got_bytes, self.moved = False, True
        self.requests += 1
        self._transport.write(request)

    def close(self) -> None:
        """Break the connection at once. The current request, if any, is forgotten: nobody is called for it."""
        self._fetch = None
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._straight and self._fetch is not None:
            return self._fetch.room()
        return self._view[self._filled :] if self._filled < _SCRATCH_BYTES else self._view

    def buffer_updated(self, nbytes: int) -> None:
        fetch = self._fetch
        self.moved = True
        if fetch is None:
            self.close()  # bytes that nobody asked for
            return
        self.got_bytes = True
        if self._straight:
            fetch.filled(nbytes)
            # The consumer may have ended the fetch, and this connection with it.
            if self._fetch is fetch and fetch.complete:
                self._finish(None)
            return
        self._filled += nbytes
        try:
            self._read_scratch(fetch)
        except Malformed as error:
            self._finish(error)

    def eof_received(self) -> bool:
        self._ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        self.usable = False
        self._on_lost(self)

    # reading

    def _read_scratch(self, fetch: Fetch) -> None:
        head = self._head or self._read_head(fetch)
        if head is None:
            return
        if head.status != PARTIAL_CONTENT:
            self._read_error(head)
            return
        body_at, length = head.body_at, fetch.length - fetch.received
        if self._filled > body_at + length:
            raise Malformed("more bytes than Content-Length")
        if fetch.small:
            if self._filled == body_at + length:
                body = bytes(self._view[body_at : self._filled])
                self._finish(None, lambda: fetch.deliver(body))
            return
        if self._filled == body_at:
            return  # a head alone is no promise kept
        self._on_begun(self)
        self._straight = True
        at = body_at
        while at < self._filled and self._fetch is fetch:
            room = fetch.room()
            count = min(len(room), self._filled - at)
            room[:count] = self._view[at : at + count]
            at += count
            fetch.filled(count)
        if self._fetch is fetch and fetch.complete:
            self._finish(None)

    def _read_head(self, fetch: Fetch) -> Head | None:
        head = self._head = parse(bytes(self._view[: min(self._filled, MAX_HEAD_BYTES)]))
        if head is not None:
            self.usable = head.keep
            if head.status == PARTIAL_CONTENT:
                assert self._wanted is not None
                check_range(head, self._wanted, fetch.size)
        return head

    def _read_error(self, head: Head) -> None:
        """Read an error's document: to its end, or as much of it as has a code and fits."""
        if head.length is not None and head.body_at + head.length <= _SCRATCH_BYTES:
            if self._filled < head.body_at + head.length:
                return
            if self._filled > head.body_at + head.length:
                self.usable = False
        else:
            self.usable = False
            body = self._scratch[head.body_at : self._filled]
            ended = b"</Error>" in body or (head.chunked and body.endswith(_LAST_CHUNK))
            if not ended and self._filled < _SCRATCH_BYTES:
                return
        self._finish(self._refusal(head))

    def _refusal(self, head: Head) -> Exception:
        assert self._fetch is not None
        if head.status < 300:  # noqa: PLR2004  -- RFC 9110: 2xx is success
            return Malformed(f"status {head.status} to a ranged GET")
        code, message = parse_error(bytes(self._view[head.body_at : self._filled]))
        source = self._fetch.source
        where = f"s3://{source.bucket}/{source.key}"
        return Refused(head.status, code, message, head.fields.get(b"date", b"").decode("latin-1"), where)

    def _ended(self, exc: Exception | None = None) -> None:
        """The other side closed: an answer without a length is over, any other is cut short."""
        if self._fetch is None:
            self.usable = False
            return
        self.usable = False
        if self._head is not None and self._head.status != PARTIAL_CONTENT:
            self._finish(self._refusal(self._head))
        else:
            self._finish(exc or ConnectionResetError("connection closed in the middle of an answer"))

    def _finish(self, error: Exception | None, deliver: Callable[[], None] | None = None) -> None:
        """End the current request. The connection is free before anybody hears of it."""
        self._fetch = None
        if isinstance(error, Malformed) or not self.usable:
            self.usable = False
            if self._transport is not None:
                self._transport.abort()
        if deliver is not None:
            deliver()
        self._on_done(self, error)


def final_error(error: Exception, where: str) -> BucketzipError:
    """What to tell the user when trying again came to its end."""
    if isinstance(error, Refused):
        return error.error
    if isinstance(error, BucketzipError):
        return error
    if isinstance(error, Malformed):
        return S3Error(f"{where}: S3 sent an answer that does not fit what was asked for: {error}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return S3Unreachable(f"{where}: {error.verify_message}; name the authority to trust in AWS_CA_BUNDLE")
    return S3Unreachable(f"{where}: {type(error).__name__}: {error}")
