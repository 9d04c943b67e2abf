"""Files in memory as if they were objects: what lists them for planning, and what reads them for the engine."""

import asyncio
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bucketzip.errors import NoSuchObject
from bucketzip.plan.catalog import Listed, Pages
from bucketzip.transfer.fetch import Fetch

BUCKET = "memory-"
"""No bucket ends with a hyphen, so this is none."""
PAGE_FILES = 1000
MAX_NAME_BYTES = 4096
"""Linux takes no longer path."""


class File(NamedTuple):
    """One of them; a folder is a name with a final slash and no bytes."""

    name: str
    data: bytes


def files_of(items: Iterable[object]) -> list[File]:
    """Pairs of a name and a BytesIO, whole and as they are now: BytesIO copies only once it is written to again.

    Raises TypeError for anything else, and ValueError for a name that an archive cannot have.
    """
    files = []
    for number, item in enumerate(items):
        match item:
            case (str(name), io.BytesIO() as content) if isinstance(item, tuple):
                files.append(File(name, content.getvalue()))
            case _:
                raise TypeError(f"files[{number}] is not a tuple of a str and an io.BytesIO")
        if not 0 < len(name.encode()) <= MAX_NAME_BYTES:
            raise ValueError(f"files[{number}]: a name has 1 to {MAX_NAME_BYTES:,} bytes, not {name[:100]!r}")
    return files


class FilesInMemory:
    """Implements `plan.catalog.Catalog` and `transfer.ports.RangeReader`. All files are of the time `mtime`.

    Two may have the same name, so it is their number that pins them.
    """

    def __init__(self, files: Sequence[File], mtime: int) -> None:
        self._files = files
        self._mtime = mtime
        self._turns: dict[Fetch, asyncio.Handle] = {}

    async def pages(self, bucket: str, prefix: str) -> Pages:
        """All of them, as they were given."""
        for start in range(0, len(self._files), PAGE_FILES):
            yield [
                Listed(file.name, len(file.data), f'"{number}"', self._mtime)
                for number, file in enumerate(self._files[start : start + PAGE_FILES], start)
            ]

    async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
        """None is asked for by its name."""
        raise NoSuchObject(f"s3://{bucket}/{key} is in memory")

    def start(self, fetch: Fetch) -> None:
        """By the port."""
        self._soon(fetch)

    def cancel(self, fetch: Fetch) -> None:
        """By the port."""
        if (turn := self._turns.pop(fetch, None)) is not None:
            turn.cancel()

    def _soon(self, fetch: Fetch) -> None:
        self._turns[fetch] = asyncio.get_running_loop().call_soon(self._fill, fetch)

    def _fill(self, fetch: Fetch) -> None:
        """One block: the loop has other things to do, too."""
        del self._turns[fetch]
        data = memoryview(self._files[int(fetch.source.etag.strip('"'))].data)
        if fetch.small:
            fetch.deliver(bytes(data[fetch.start : fetch.stop]))
            return
        room, at = fetch.room(), fetch.start + fetch.received
        room[:] = data[at : at + len(room)]
        if fetch.received + len(room) < fetch.length:
            self._soon(fetch)  # first: whoever hears of the block may cancel the rest
        fetch.filled(len(room))
