"""What botocore and its HTTP client need so that large parts go out well.

A part is sent in pieces out of the memory where it was made. Copying and completing take S3 minutes, so their answers
may be late. Over TLS the CRC-32 of a part, which is signed, makes hashing its bytes for the signature superfluous.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.model import OperationModel

from bucketzip.errors import SlowDown
from bucketzip.s3.errors import from_answer

if TYPE_CHECKING:  # stubs, for the type checker alone
    from botocore.exceptions import _ClientErrorResponseTypeDef
    from types_aiobotocore_s3 import S3Client

PIECE_BYTES = 1 << 20
LATE_ANSWER_SECONDS = 600.0
"""S3 copies 5 GiB in a minute or two, and completes an upload of 10,000 parts in some minutes."""
LATE = ("UploadPartCopy", "CompleteMultipartUpload")
PARTS = ("UploadPartCopy", "UploadPart")


class PartBody:
    """Bytes that botocore takes for a file, and aiohttp for a stream: neither copies them, nor reads them in a thread.

    They must not change while they are sent. `moved` is called as each piece goes out.
    """

    def __init__(self, content: memoryview, moved: Callable[[], None]) -> None:
        self._content = content
        self._moved = moved
        self._at = 0

    def __len__(self) -> int:
        return len(self._content)

    def read(self, most: int = -1) -> memoryview:
        """The next bytes: botocore hashes them where there is no TLS."""
        start = self._at
        self._at = len(self) if most < 0 else min(start + most, len(self))
        return self._content[start : self._at]

    def tell(self) -> int:
        """Where `read` goes on."""
        return self._at

    def seek(self, at: int) -> None:
        """Let `read` go on at a byte."""
        self._at = at

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        """All bytes in pieces, each time anew."""
        for start in range(0, len(self), PIECE_BYTES):
            self._moved()
            yield self._content[start : start + PIECE_BYTES]


def prepare(client: "S3Client") -> None:
    """Let a client know it all."""
    client.can_paginate("list_parts")  # reads a file, once: now, and not in the loop later
    for operation in LATE:
        client.meta.events.register(f"before-call.s3.{operation}", _answered_late)
    client.meta.events.register("before-call.s3.UploadPart", _checked_by_crc)
    for operation in PARTS:  # before botocore's own decision, which would take something from its allowance
        client.meta.events.register_first(f"needs-retry.s3.{operation}", _told)


def _answered_late(params: dict[str, Any], **_: object) -> None:
    params["context"]["read_timeout"] = LATE_ANSWER_SECONDS


def _checked_by_crc(params: dict[str, Any], **_: object) -> None:
    """Say what botocore says of a CRC that it computed: it knows nothing of those that it was given."""
    if "x-amz-checksum-crc32" in params["headers"]:
        algorithm = {"algorithm": "crc32", "in": "header", "name": "x-amz-checksum-crc32"}
        params["context"]["checksum"] = {"request_algorithm": algorithm}


@contextmanager
def hearing_of_slow_down() -> Iterator[None]:
    """What is refused so meanwhile, by this task, is not tried again by botocore, which would tell nobody."""
    token = _hearing.set(True)
    try:
        yield
    finally:
        _hearing.reset(token)


_hearing: ContextVar[bool] = ContextVar("hearing", default=False)


def _told(response: "tuple[Any, _ClientErrorResponseTypeDef] | None", operation: OperationModel, **_: object) -> None:
    if _hearing.get() and response is not None and isinstance(from_answer(response[1], ""), SlowDown):
        raise ClientError(response[1], operation.name)
