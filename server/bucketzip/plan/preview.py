"""What an archive would hold, without making it: nothing is written anywhere, and S3 is asked to compute nothing.

Entries are told as the listing goes on, in the order and by the names that the archive would have.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bucketzip.archive.manifest import ManifestBuilder, Source
from bucketzip.plan.catalog import Catalog
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.planner import LeftOut, Missing, Planner
from bucketzip.plan.request import ZipRequest


class Entry(NamedTuple):
    """One entry of the archive."""

    name: str
    size: int
    mtime: int
    """Seconds since 1970, UTC."""
    source: Source | None
    """None for folders, and for what the archive itself tells."""


Tell = Callable[[Entry], None]


class Totals(NamedTuple):
    """Of the whole archive; of one that leaves out what is missing."""

    entries: int
    content_bytes: int
    archive_bytes: int
    """As a file or a download, by the checksums that S3 tells without computing any."""
    archive_bytes_in_bucket: int
    """Less, where S3 does not tell the checksum of a large object."""
    missing: Sequence[Missing]


async def preview(
    request: ZipRequest, catalog: Catalog, tell: Tell, left_out: LeftOut, *, most_entries: int | None = None
) -> Totals:
    """Tell every entry; raises what planning raises, but never for what is missing."""
    builder = _Telling(tell)
    planner = Planner(
        request.model_copy(update={"on_missing": "skip"}),
        catalog,
        Discovery(_NothingKept(), None, most_copied_bytes=0),
        builder,
        most_entries=most_entries,
        left_out=left_out,
    )
    await planner.plan()
    size = builder.archive_bytes()
    in_bucket = builder.archive_bytes(descriptors=False) if builder.has_descriptors else size
    return Totals(len(builder), sum(builder.sizes), size, in_bucket, planner.missing)


class _Telling(ManifestBuilder):
    """Tells each entry as it is added."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    def add(self, name: str, source: Source, *, size: int, mtime: int, **crc: Any) -> None:
        super().add(name, source, size=size, mtime=mtime, **crc)
        self._tell(Entry(name, size, mtime, source))

    def add_inline(self, name: str, content: bytes, *, mtime: int) -> None:
        super().add_inline(name, content, mtime=mtime)
        self._tell(Entry(name, len(content), mtime, None))


class _NothingKept:
    """Implements `CrcMemory`: what was learned of objects before changes no byte of an archive."""

    async def recall(self, objects: Sequence[tuple[Source, int]]) -> list[int | None]:
        return [None] * len(objects)

    async def keep(self, learned: Sequence[tuple[Source, int, int]]) -> None:
        """Nothing is."""

    async def refuted(self, objects: Sequence[tuple[Source, int]]) -> list[bool]:
        return [False] * len(objects)

    async def refute(self, source: Source, size: int) -> None:
        """Nothing is."""
