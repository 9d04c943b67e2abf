"""A client that has the beginning of an archive and wants the rest.

Not curl, which does not tell when a byte in the middle of its download came.
"""

import http.client
import time
import zlib
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.cores import SURROUNDINGS, pinned
from bench.datasets import MIB
from bench.processes import UnavailableError

_STALL_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Rest:
    """When the last bytes of an archive came; seconds are from before the connection was opened."""

    first_byte_seconds: float
    last_byte_seconds: float
    crc: int


def fetch_rest(url: str, rest_bytes: int, *, by_range: bool) -> Rest:
    """Fetch the last bytes of an archive: by Range, or by reading and dropping all that is before them."""
    parts = urlsplit(url)
    status = http.HTTPStatus.PARTIAL_CONTENT if by_range else http.HTTPStatus.OK
    view = memoryview(bytearray(rest_bytes))
    connection = http.client.HTTPConnection(parts.netloc, timeout=_STALL_SECONDS)
    try:
        with pinned(SURROUNDINGS), closing(connection):
            began = time.perf_counter()
            connection.request("GET", parts.path, headers={"Range": f"bytes=-{rest_bytes}"} if by_range else {})
            answer = connection.getresponse()
            if answer.status != status or answer.length is None or answer.length < rest_bytes:
                raise UnavailableError(f"HTTP status {answer.status}, {answer.length} bytes")
            _drop(answer, answer.length - rest_bytes)
            _fill(answer, view[:1])  # by itself, since a read returns when its buffer is full
            first = time.perf_counter()
            _fill(answer, view[1:])
            last = time.perf_counter()
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"the download broke: {error!r}") from error
    return Rest(first - began, last - began, zlib.crc32(view))


def _drop(answer: http.client.HTTPResponse, count: int) -> None:
    buffer = memoryview(bytearray(MIB))
    while count:
        piece = buffer[: min(count, MIB)]
        _fill(answer, piece)
        count -= len(piece)


def _fill(answer: http.client.HTTPResponse, view: memoryview) -> None:
    while view:
        count = answer.readinto(view)
        if not count:
            raise UnavailableError(f"{len(view):,} bytes are missing at the end")
        view = view[count:]
