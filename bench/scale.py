"""`scale`: huge archives in a bucket, planned by the product's own functions and paid for on paper. Nothing is sent.

docs/scale.md has the table and says what the rates below rest on. Objects of one layout are as even as they look: so of
an archive in several volumes one is planned, and the others are taken for its equals.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from mmap import ACCESS_READ, mmap
from random import Random
from tempfile import TemporaryFile

from bench.session import Session
from bench.table import Row, render
from bucketzip.archive.arrange import arrange
from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import READ_AHEAD_BYTES, Manifest, ManifestBuilder, Source
from bucketzip.archive.parts import Kind, Part, bytes_through_host, requests
from bucketzip.errors import TooLargeForUpload
from bucketzip.jobs.archive_job import cut
from bucketzip.jobs.widths import COPIES_AT_ONCE

KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12

_BUCKET = "bucket"
_MTIME = 1_700_000_000
_PAGE = 1000
#: Of what is built, a GET reads so much.
_RANGE_BYTES = 1 << 20
#: At the price of a PUT: creating, completing, looks at the destination, and what proves copies.
_FIXED_REQUESTS = 11
#: The bound of the setting BUCKETZIP_PART_BYTES, whose default is 64 MiB.
_MOST_BUILT_BYTES = 2 << 30

_PUT_DOLLARS, _GET_DOLLARS = 0.005 / 1000, 0.0004 / 1000

_LIST_SECONDS = 0.1
_COPY_BYTES_PER_SECOND = 62.5e6
_COPY_SECONDS = 0.1
_GETS_AT_ONCE = 64
_GET_SECONDS = 0.1
_OBJECT_CPU_SECONDS, _BYTE_CPU_SECONDS = 0.0006, 3 / GB
_COMPLETE_SECONDS = 0.006

_COLUMNS = (
    "TB", "volumes", "entries each", "parts each", "copied", "copies", "longest MB", "through host GB", "longest MB",
    "GETs", "PUT class", "$", "list s", "copy s", "build s", "finish s", "hours", "planned in s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Volume:
    """One archive, planned."""

    entries: int
    size_bytes: int
    parts: int
    copies: int
    uploads: int
    gets: int
    heads: int
    built_bytes: int
    longest_copied_bytes: int
    longest_built_bytes: int

    @property
    def lists(self) -> int:
        """ListObjectsV2 of the sources, ListParts of what came of them."""
        return _up(self.entries, _PAGE) + _up(self.parts, _PAGE)

    @property
    def puts(self) -> int:
        """Requests at the price of PUT, COPY, POST and LIST."""
        return self.copies + self.uploads + self.lists + _FIXED_REQUESTS

    @property
    def dollars(self) -> float:
        """List price of all requests in us-east-1."""
        return self.puts * _PUT_DOLLARS + (self.gets + self.heads) * _GET_DOLLARS

    @property
    def list_seconds(self) -> float:
        """One page after the other, and HEADs side by side."""
        return _up(self.entries, _PAGE) * _LIST_SECONDS + self.heads * _GET_SECONDS / _GETS_AT_ONCE

    @property
    def copy_seconds(self) -> float:
        """16 at once; no copy is quicker than its own bytes."""
        copied_bytes = self.size_bytes - self.built_bytes
        side_by_side = (
            copied_bytes / (COPIES_AT_ONCE * _COPY_BYTES_PER_SECOND) + self.copies * _COPY_SECONDS / COPIES_AT_ONCE
        )
        return max(side_by_side, self.longest_copied_bytes / _COPY_BYTES_PER_SECOND)

    @property
    def build_seconds(self) -> float:
        """Whatever is slower: waiting for GETs, or the one core that one process uses."""
        waiting = self.gets * _GET_SECONDS / _GETS_AT_ONCE
        computing = self.gets * _OBJECT_CPU_SECONDS + self.built_bytes * _BYTE_CPU_SECONDS
        return max(waiting, computing)

    @property
    def finish_seconds(self) -> float:
        """S3 puts the parts together."""
        return self.parts * _COMPLETE_SECONDS

    @property
    def seconds(self) -> float:
        """One turn after the other."""
        return self.list_seconds + self.copy_seconds + self.build_seconds + self.finish_seconds


def _up(count: int, by: int) -> int:
    return -(-count // by)


def _even(count: int, size: int) -> Callable[[], Sequence[int]]:
    return lambda: [size] * count


def _about_5_mb() -> Sequence[int]:
    """A normal law, cut: the task of the public "S3 zipper challenge"."""
    draw = Random("3,000 objects").gauss
    return [int(min(max(draw(5 * MB, MB), 2 * MB), 8 * MB)) for _ in range(3000)]


_LAYOUTS: dict[str, Callable[[], Sequence[int]]] = {
    "4 x 1 GiB": _even(4, 1 << 30),
    "3,000 x 2-8 MB": _about_5_mb,
    "1,000,000 x 100 KB": _even(1_000_000, 100 * KB),
    "1,000,000 x 1 MB": _even(1_000_000, MB),
    "10,000,000 x 100 KB": _even(10_000_000, 100 * KB),
    "69,121 x 54 MB": _even(69_121, 54_253 * KB),
    "4,999 x 5 GB": _even(4_999, 5 * GB),
    "10,000 x 5 GB": _even(10_000, 5 * GB),
    "50,000 x 1 GB": _even(50_000, GB),
    "50 x 1 TB": _even(50, TB),
}


def _plan(sizes: Sequence[int]) -> Volume:
    """THE CALLS UNDER TEST: what planning a job does once everything is listed. Raises TooLargeForUpload."""
    builder = ManifestBuilder(descriptors=False)
    for index, size in enumerate(sizes):
        name = f"{index % 1000:03d}/object-{index:08d}.bin"
        builder.add(name, Source(_BUCKET, f"data/{name}", f'"{index:032x}"'), size=size, mtime=_MTIME)
    builder.arrange(arrange(builder.sizes))
    with TemporaryFile() as file:
        digest = builder.write(file)
        file.flush()
        layout = Layout(Manifest(mmap(file.fileno(), 0, access=ACCESS_READ)), digest)
        parts = cut(layout, (_BUCKET,))
        counted = requests(layout, parts)
        longest_built_bytes = max(part.length for part in parts if part.kind is not Kind.COPIED)
        if longest_built_bytes > _MOST_BUILT_BYTES:
            raise TooLargeForUpload(f"parts of {longest_built_bytes / MB:,.0f} MB would be made in memory")
        return Volume(
            entries=len(sizes),
            size_bytes=layout.size,
            parts=len(parts),
            copies=counted.copies,
            uploads=counted.uploads,
            gets=_gets(sizes, parts),
            heads=sum(size > READ_AHEAD_BYTES for size in sizes),
            built_bytes=bytes_through_host(parts),
            longest_copied_bytes=max((part.length for part in parts if part.kind is Kind.COPIED), default=0),
            longest_built_bytes=longest_built_bytes,
        )


def _gets(sizes: Sequence[int], parts: Sequence[Part]) -> int:
    """What is not copied is read, each entry by itself."""
    left = list(sizes)
    for part in parts:
        if part.kind is Kind.COPIED and part.content is not None:
            left[part.content.entry] -= part.length
    return sum(_up(count, _RANGE_BYTES) for count in left)


def _volumes(sizes: Sequence[int]) -> tuple[int, Volume, str | None]:
    """As few volumes as there can be, the largest of them, and why it is not one less."""
    count, refused = 1, None
    while True:
        try:
            return count, _plan(sizes[: _up(len(sizes), count)]), refused
        except TooLargeForUpload as error:
            count, refused = count + 1, str(error)


def _cells(count: int, volume: Volume, planning_seconds: float) -> tuple[str, ...]:
    copied_bytes = volume.size_bytes - volume.built_bytes
    return (
        f"{count * volume.size_bytes / TB:.3f}",
        f"{count}",
        f"{volume.entries:,}",
        f"{volume.parts:,}",
        f"{copied_bytes / volume.size_bytes:.2%}",
        f"{count * volume.copies:,}",
        f"{volume.longest_copied_bytes / MB:,.0f}",
        f"{count * volume.built_bytes / GB:,.3f}",
        f"{volume.longest_built_bytes / MB:.1f}",
        f"{count * volume.gets:,}",
        f"{count * volume.puts:,}",
        f"{count * volume.dollars:.4f}",
        f"{count * volume.list_seconds:,.0f}",
        f"{count * volume.copy_seconds:,.0f}",
        f"{count * volume.build_seconds:,.0f}",
        f"{count * volume.finish_seconds:,.0f}",
        f"{count * volume.seconds / 3600:.2f}",
        f"{planning_seconds:.0f}",
    )


def run(session: Session) -> None:
    """One table. Quick: layouts of up to 100,000 entries."""
    rows, notes = [], []
    for name, layout in _LAYOUTS.items():
        sizes = layout()
        if session.options.quick and len(sizes) > 100_000:
            continue
        began = time.perf_counter()
        count, volume, refused = _volumes(sizes)
        rows.append(Row(name, _cells(count, volume, time.perf_counter() - began)))
        if refused:
            notes.append(f"{name}: in {count - 1 or 'no'} volumes, {refused}" if count > 2 else f"{name}: {refused}")
        session.record("scale", {"layout": name, "volumes": count, "refused": refused} | asdict(volume))
    print(render("scale: planned, not made; all but the columns `each` and `longest` are sums", _COLUMNS, rows, notes))
