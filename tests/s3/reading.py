"""A reader on a store, wired as app.py does it, and reads through it whose memory is watched.

Every block is overwritten when it is given back, and looked at when it is taken again or the test ends: whoever reads
or writes it in between is found out.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import bucketzip
from bucketzip.account import reader_metrics
from bucketzip.archive.manifest import Source
from bucketzip.embedded import EmbeddedS3
from bucketzip.metrics import Metrics
from bucketzip.s3.client import S3, open_s3, tls_context
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.reader import S3RangeReader
from bucketzip.s3.reader_options import ReaderLimits
from bucketzip.transfer.blocks import BLOCK_BYTES, SMALL_BLOCK_BYTES, BlockPool
from bucketzip.transfer.fetch import Fetch
from tests.faults.content import Content
from tests.faults.lying_s3 import LyingS3

POISON = {size: b"\xee" * size for size in (SMALL_BLOCK_BYTES, BLOCK_BYTES)}
FRESH = {size: bytes(size) for size in POISON}


class PoisonedPool(BlockPool):
    def take(self, wanted: int) -> bytearray:
        block = super().take(wanted)
        assert block in (POISON[len(block)], FRESH[len(block)]), "somebody wrote into a block that he had given back"
        return block

    def give_back(self, piece: bytes | memoryview) -> None:
        if isinstance(piece, memoryview):
            block = piece.obj
            assert isinstance(block, bytearray)
            block[:] = POISON[len(block)]
        super().give_back(piece)

    def check(self) -> None:
        """All is back, and as it was given back."""
        assert self._used_bytes == 0
        for size, free in self._free.items():
            assert all(block == POISON[size] for block in free)


@dataclass(frozen=True)
class Thing:
    """An object to read, and what must come of it."""

    bucket: str
    key: str
    content: Content
    etag: str
    version_id: str = ""


class Read:
    """One fetch and what came of it. Its consumer takes every piece at once, and gives the block back."""

    def __init__(self, reading: "Reading", thing: Thing, start: int, stop: int, *, urgent: bool) -> None:
        self._reading = reading
        self._thing = thing
        self.fetch = Fetch(
            Source(thing.bucket, thing.key, thing.etag, thing.version_id),
            start,
            stop,
            size=thing.content.size,
            pool=reading.pool,
            on_change=self._changed,
            urgent=urgent,
        )
        self.data = bytearray()
        self.ended = asyncio.Event()
        self.cancelled = False

    async def right(self) -> None:
        """Wait for the end: the bytes are there and right, or the error is raised."""
        await self.ended.wait()
        if self.fetch.error is not None:
            raise self.fetch.error
        same = self.data == self._thing.content.read(self.fetch.start, self.fetch.stop)  # a diff would be of megabytes
        assert same

    def cancel(self) -> None:
        """As the pump does it."""
        with self._reading.calling():
            self._reading.reader.cancel(self.fetch)
        self.cancelled = True
        self.fetch.drop()

    def _changed(self, fetch: Fetch) -> None:
        assert not self._reading.inside, "called back from within start or cancel"
        assert not self.ended.is_set(), "called back after the end"
        assert not self.cancelled, "called back after cancel"
        while fetch.pieces:
            piece = fetch.pieces.popleft()
            self.data += piece
            self._reading.pool.give_back(piece)
        if fetch.error is not None or fetch.complete:
            self.ended.set()
            fetch.drop()


class _Inside:
    def __init__(self, reading: "Reading") -> None:
        self._reading = reading

    def __enter__(self) -> None:
        self._reading.inside = True

    def __exit__(self, *_: object) -> None:
        self._reading.inside = False


class Reading:
    """A running reader with all that belongs to it."""

    def __init__(self, s3: S3, keeper: CredentialKeeper, reader: S3RangeReader, metrics: Metrics) -> None:
        self.s3 = s3
        self.keeper = keeper
        self.reader = reader
        self.pool = PoisonedPool()
        self.inside = False
        self._metrics = metrics

    def calling(self) -> _Inside:
        """While the reader is called, it must not call back."""
        return _Inside(self)

    def start(self, thing: Thing, start: int = 0, stop: int | None = None, *, urgent: bool = False) -> Read:
        read = Read(self, thing, start, thing.content.size if stop is None else stop, urgent=urgent)
        with self.calling():
            self.reader.start(read.fetch)
        return read

    @property
    def in_flight(self) -> int:
        """Requests that are sent or for which connections are being opened."""
        return len(self.reader._busy) + self.reader._pool._opening

    def retries(self, reason: str) -> float:
        """How many reads were tried again for this reason."""
        return self._value("bucketzip_s3_retries_total", reason=reason)

    def outcomes(self, outcome: str) -> float:
        """How many requests ended so."""
        return self._value("bucketzip_s3_range_gets_total", outcome=outcome)

    def received_bytes(self) -> float:
        return self._value("bucketzip_s3_received_bytes_total")

    def hedges(self) -> tuple[float, float]:
        """How many were sent, and how many of them won."""
        return self._value("bucketzip_s3_hedges_total"), self._value("bucketzip_s3_hedges_won_total")

    def _value(self, name: str, **labels: str) -> float:
        return self._metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def reading(environment: Mapping[str, str], **limits: Any) -> AsyncIterator[Reading]:
    """A reader on the S3 of `environment`. Nothing of it may be left when the test ends."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=8) as s3:
            metrics = Metrics()
            told = reader_metrics(metrics)
            async with S3RangeReader(s3, keeper, told, ReaderLimits(**limits), _tls()).running() as reader:
                made = Reading(s3, keeper, reader, metrics)
                yield made
                assert reader.waiting == 0
            assert reader.open_connections == 0
            made.pool.check()
    assert not left_behind()


def _tls() -> ssl.SSLContext:
    return _tls_for(os.environ.get("AWS_CA_BUNDLE"))


@cache
def _tls_for(_: str | None) -> ssl.SSLContext:
    """All authorities of this system take 50 ms to read, which a server does once."""
    return tls_context()


def left_behind() -> list[str]:
    """Tasks that run code of the server."""
    server = str(Path(bucketzip.__file__).parent)
    codes = (getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks())
    return [code.co_qualname for code in codes if isinstance(code, CodeType) and code.co_filename.startswith(server)]


def stubbed(stub: LyingS3, key: str, version_id: str = "") -> Thing:
    """What the lying store has, as an honest listing would tell of it."""
    stored = stub.objects.find(key, version_id or None)
    assert stored is not None
    return Thing(stub.bucket, key, stored.content, stored.etag, version_id)


def of_stub(stub: LyingS3) -> dict[str, str]:
    """The environment in which the lying store is S3."""
    return {
        "AWS_ENDPOINT_URL_S3": stub.endpoint_url,
        "AWS_ACCESS_KEY_ID": "stub",
        "AWS_SECRET_ACCESS_KEY": "stub",
        "AWS_REGION": "us-east-1",
    }


def port_of(server: EmbeddedS3) -> int:
    return int(server.endpoint_url.rpartition(":")[2])


def by_way_of(server: EmbeddedS3, port: int) -> dict[str, str]:
    """The environment in which a proxy before the server is S3."""
    scheme = server.endpoint_url.partition(":")[0]
    return {**server.environment(), "AWS_ENDPOINT_URL_S3": f"{scheme}://127.0.0.1:{port}"}


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another party of the test does; so long only where it never does."""
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.002)


async def fails_with(kind: type[Exception], read: Awaitable[object]) -> str:
    """The message of the error, which must be exactly of that kind."""
    with pytest.raises(kind) as caught:
        await read
    assert type(caught.value) is kind
    return str(caught.value)
