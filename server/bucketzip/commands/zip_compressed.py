"""`bucketzip zip --compression ...` into a file and into a pipe: made in one go, since nobody can say how far one is.

What a stopped command has made of it is of no use to the next one. So it is thrown away, and the file has its name only
once it is whole.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from bucketzip.archive.deflated import Compression, DeflatedArchive
from bucketzip.errors import ContentMismatch
from bucketzip.local import part_file
from bucketzip.local.part_file import PartFile
from bucketzip.local.saving import compress, pipe_compressed
from bucketzip.terminal import StatusLine, amount, pace
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.opened import Opened
from bucketzip.wording import entries

STOPPED = "stopped: a compressed archive cannot go on where it stopped, so nothing of it is kept"
LEAST_PACE_SECONDS = 1.0
"""A pace that was measured for less says nothing."""


async def compress_to_file(
    opened: Opened, compression: Compression, compressor: Compressor, path: Path, line: StatusLine, *, replace: bool
) -> int:
    """Make the file, and return its length; raises CannotSave."""
    archive = opened.compressed(compression)
    part = await asyncio.to_thread(PartFile, path, None, None)
    try:
        if part.why_anew is not None:
            line.write(f"{part.path}: {part.why_anew}, so it is begun anew\n")
        try:
            await compress(opened, archive, compressor, part, _shown(opened, archive, line))
        except ContentMismatch:
            await opened.keep_refuted()
            raise
        finally:
            line.clear()
        await asyncio.to_thread(part.finish, replace=replace)
    except BaseException:
        await asyncio.to_thread(part_file.discard, path)
        raise
    finally:
        await asyncio.to_thread(part.close)
    return archive.walked.position


async def compress_to_pipe(
    opened: Opened, compression: Compression, compressor: Compressor, descriptor: int, line: StatusLine
) -> None:
    """Write it to a descriptor that does not block."""
    archive = opened.compressed(compression)
    try:
        await pipe_compressed(opened, archive, compressor, descriptor, _shown(opened, archive, line))
    finally:
        line.clear()


def _shown(opened: Opened, archive: DeflatedArchive, line: StatusLine) -> Callable[[int], None]:
    """Shows how far it is, by content."""
    sizes, walked = opened.layout.manifest.sizes, archive.walked
    began, source_bytes = time.monotonic(), sum(sizes)

    def status() -> str:
        said = f"{amount(walked.content, source_bytes)}  {walked.entry:,} of {entries(len(sizes))}"
        if walked.content:
            said += f"  to {walked.position / walked.content:.0%}"
        seconds = time.monotonic() - began
        if seconds < LEAST_PACE_SECONDS:
            return said
        return f"{said}  {pace(walked.content / seconds, source_bytes - walked.content)}"

    return lambda _: line.show(status, walked.content / source_bytes if source_bytes else 1.0)
