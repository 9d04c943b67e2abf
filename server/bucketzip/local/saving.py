"""Sends an archive to this machine: all of it, or what is missing of a file.

What is on the disk already is not read from S3 again. The directory at the end tells the CRC of every entry. Of a
stored archive, those of entries that are there are remembered or else computed from the file; that of the entry in
which the file ends comes from both. Of a compressed one all that is needed stands in the checkpoints beside it.
"""

import asyncio
import dataclasses
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import islice

from bucketzip.archive.deflated import DeflatedArchive
from bucketzip.local.part_file import PartFile
from bucketzip.local.sinks import FileSink, PipeSink, Rest, Written
from bucketzip.local.walked_file import ToFile
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.opened import Opened
from bucketzip.transfer.outlets import Outlet, ToSink
from bucketzip.transfer.ports import Sink
from bucketzip.transfer.pump import Engine, Pump

BATCH = 1000
SYNC_SECONDS = 1.0
"""What was written longer ago than this is safe."""


async def save(opened: Opened, engine: Engine, part: PartFile, written: Written) -> None:
    """Bring the file to its full length; raises what keeps it from that, and what came until then is safe."""
    layout = opened.layout
    async with _syncing(lambda: asyncio.to_thread(part.sync, part.length)):
        await _learn(opened, part, layout.told_elsewhere(part.length, layout.size))
        rest = await asyncio.to_thread(_rest, opened, part)
        await _send(opened, engine, part.length, FileSink(part, rest, written))
    assert part.length == layout.size


async def pipe(opened: Opened, engine: Engine, descriptor: int, written: Written) -> None:
    """Write the archive to a descriptor that does not block."""
    sink = PipeSink(descriptor, written)
    await _send(opened, engine, 0, sink)
    assert sink.length == opened.layout.size


async def compress(
    opened: Opened, archive: DeflatedArchive, compressor: Compressor, part: PartFile, written: Written
) -> None:
    """Make what is missing of a compressed archive, which stands where the file ends; raises what keeps it from that.

    What came until then is safe.
    """
    outlet = ToFile(part, archive.walked, written)
    async with _syncing(outlet.sync):
        await _send_compressed(opened, archive, compressor, outlet)
    assert part.length == archive.walked.position


async def pipe_compressed(
    opened: Opened, archive: DeflatedArchive, compressor: Compressor, descriptor: int, written: Written
) -> None:
    """Write a compressed archive to a descriptor that does not block."""
    await _send_compressed(opened, archive, compressor, ToSink(PipeSink(descriptor, written)))


async def _send_compressed(opened: Opened, archive: DeflatedArchive, compressor: Compressor, outlet: Outlet) -> None:
    with opened.deflating(archive, compressor, outlet, patient=True) as (pump, deflating):
        await pump.run(deflating)
        await deflating.finish()


async def _send(opened: Opened, engine: Engine, start: int, sink: Sink) -> None:
    layout = opened.layout
    patient = dataclasses.replace(engine, stall_seconds=math.inf)
    with Pump(patient, layout, opened.crcs, layout.cut(start, layout.size), opened.learner.learned) as pump:
        await pump.run(sink)


async def _learn(opened: Opened, part: PartFile, entries: Iterable[int]) -> None:
    """The CRCs of entries that are there whole."""
    entries = iter(entries)
    while batch := list(islice(entries, BATCH)):
        unknown = [entry for entry in batch if opened.crcs.get(entry) is None]
        await opened.learner.recall(unknown)
        for entry in unknown:
            start, stop = opened.layout.content(entry)
            if opened.crcs.get(entry) is None and stop <= part.length:
                opened.crcs.learn(entry, await asyncio.to_thread(part.crc, start, stop))
        await asyncio.sleep(0)


def _rest(opened: Opened, part: PartFile) -> Rest | None:
    """What is missing of the entry in whose content the file ends. Reads what is there of it."""
    manifest = opened.layout.manifest
    entry = manifest.entries_from(part.length)[0]
    start, stop = opened.layout.content(entry)
    if not start < part.length < stop or manifest.inline(entry) is not None:
        return None
    return Rest(opened.crcs, entry, part.crc(start, part.length), stop - part.length)


@asynccontextmanager
async def _syncing(sync: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Make safe what is written, now and then and at the end. A disk that fails is told of at the end, too."""
    over = asyncio.Event()
    syncing = asyncio.create_task(_sync_until(over, sync))
    try:
        yield
    finally:
        over.set()
        await syncing
        await sync()


async def _sync_until(over: asyncio.Event, sync: Callable[[], Awaitable[None]]) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(SYNC_SECONDS):
                await over.wait()
        await sync()
