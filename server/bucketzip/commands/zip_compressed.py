"""`bucketzip zip --compression ...` into a file and into a pipe. Nobody can say how long one will be."""

import time
from collections.abc import Callable
from pathlib import Path

from bucketzip.archive.deflated import Compression, DeflatedArchive
from bucketzip.commands.zip_part import becoming
from bucketzip.local.saving import compress, pipe_compressed
from bucketzip.terminal import StatusLine, amount, pace
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.opened import Opened
from bucketzip.wording import entries

LEAST_PACE_SECONDS = 1.0
"""A pace that was measured for less says nothing."""


async def compress_to_file(
    opened: Opened, compression: Compression, compressor: Compressor, path: Path, line: StatusLine, *, replace: bool
) -> tuple[int, int]:
    """Make the file; returns its length, and from which byte on it was made. Raises CannotSave."""
    way = f"{'auto' if compression.auto else 'deflate'} {compression.level}"
    async with becoming(path, opened, way, None, line, replace=replace) as part:
        archive, start = opened.compressed(compression, part.checkpoints), part.length
        if start:
            there, source_bytes = archive.walked.content, sum(opened.layout.manifest.sizes)
            line.write(f"going on after {start:,} bytes, which hold {there:,} of {source_bytes:,}\n")
        await compress(opened, archive, compressor, part, _shown(opened, archive, line))
    return archive.walked.position, start


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
    """Shows how far it is, by content, beginning now where the walk stands."""
    sizes, walked = opened.layout.manifest.sizes, archive.walked
    began, start, source_bytes = time.monotonic(), walked.content, sum(sizes)

    def status() -> str:
        said = f"{amount(walked.content, source_bytes)}  {walked.entry:,} of {entries(len(sizes))}"
        if walked.content:
            said += f"  to {walked.position / walked.content:.0%}"
        seconds = time.monotonic() - began
        if seconds < LEAST_PACE_SECONDS:
            return said
        return f"{said}  {pace((walked.content - start) / seconds, source_bytes - walked.content)}"

    return lambda _: line.show(status, walked.content / source_bytes if source_bytes else 1.0)
