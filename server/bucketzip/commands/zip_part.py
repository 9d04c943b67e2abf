"""What all archives that become a file have in common: how they take up what is there, and how they get their name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bucketzip.errors import ContentMismatch
from bucketzip.local.note import Made
from bucketzip.local.part_file import PartFile
from bucketzip.terminal import StatusLine
from bucketzip.transfer.opened import Opened


@asynccontextmanager
async def becoming(
    path: Path, opened: Opened, way: str, size: int | None, line: StatusLine, *, replace: bool
) -> AsyncIterator[PartFile]:
    """What is there of the file, which has its name once the block has made the rest; raises CannotSave."""
    part = await asyncio.to_thread(PartFile, path, Made(opened.layout.etag, way), size)
    try:
        if part.why_anew is not None:
            line.write(f"{part.path}: {part.why_anew}, so it is begun anew\n")
        try:
            yield part
        except ContentMismatch:
            # Nobody knows which of the two was wrong, what was known or what was read and is in the file.
            await opened.keep_refuted()
            await asyncio.to_thread(part.drop)
            raise
        finally:
            line.clear()
        await asyncio.to_thread(part.finish, replace=replace)
    finally:
        await asyncio.to_thread(part.close)
