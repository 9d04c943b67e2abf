"""How fast objects come, by the reader that downloads use: ranges of real objects, a bounded number of bytes."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bucketzip.archive.manifest import Source
from bucketzip.plan.catalog import Listed
from bucketzip.transfer.blocks import BlockPool
from bucketzip.transfer.fetch import Fetch
from bucketzip.transfer.ports import RangeReader

MOST_BYTES = 64 << 20
MOST_RANGES = 64
RANGE_BYTES = 8 << 20
AT_ONCE = 8
MOST_SECONDS = 10.0


class Measured(NamedTuple):
    """What came, and how long it took."""

    bytes: int
    ranges: int
    seconds: float


async def measure(reader: RangeReader, bucket: str, objects: Sequence[Listed]) -> Measured:
    """Read the largest of them; raises what reading raises."""
    todo = _ranges(bucket, sorted(objects, key=lambda listed: -listed.size))
    pool = BlockPool()
    began = time.monotonic()
    got = ranges = 0

    async def read_on() -> None:
        nonlocal got, ranges
        for source, size, start, stop in todo:
            await _read(reader, source, size, (start, stop), pool)
            got, ranges = got + stop - start, ranges + 1
            if time.monotonic() - began > MOST_SECONDS:
                return

    readers = [asyncio.create_task(read_on()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*readers)
    finally:
        for each in readers:
            each.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return Measured(got, ranges, time.monotonic() - began)


def _ranges(bucket: str, objects: Sequence[Listed]) -> Iterator[tuple[Source, int, int, int]]:
    """(object, its size, start, stop), until there is enough."""
    left_bytes, left_ranges = MOST_BYTES, MOST_RANGES
    for listed in objects:
        source = Source(bucket, listed.key, listed.etag, listed.version_id)
        for start in range(0, listed.size, RANGE_BYTES):
            if left_bytes <= 0 or not left_ranges:
                return
            stop = min(start + RANGE_BYTES, listed.size, start + left_bytes)
            yield source, listed.size, start, stop
            left_bytes, left_ranges = left_bytes - (stop - start), left_ranges - 1


async def _read(reader: RangeReader, source: Source, size: int, part: tuple[int, int], pool: BlockPool) -> None:
    """Read bytes `[start, stop)` of an object, and drop them as they come."""
    over = asyncio.Event()

    def changed(fetch: Fetch) -> None:
        while fetch.pieces:
            pool.give_back(fetch.pieces.popleft())
        if fetch.complete or fetch.error is not None:
            over.set()

    fetch = Fetch(source, *part, size=size, pool=pool, on_change=changed)
    reader.start(fetch)
    try:
        await over.wait()
    finally:
        reader.cancel(fetch)
        fetch.drop()
    if fetch.error is not None:
        raise fetch.error
