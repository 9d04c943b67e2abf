"""Where each entry's CRC-32 comes from, cheapest first, and what an archive came to have of each way.

What S3 tells decides an entry's form, since it tells everybody the same: a CRC in the header. What was learned by
reading decides none, or the same request would give another archive after its first download; it only saves work.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from bucketzip.archive.manifest import READ_AHEAD_BYTES, ManifestBuilder, Source
from bucketzip.plan.catalog import Listed
from bucketzip.transfer.ports import CrcMemory, RemoteCrcs


class Way(StrEnum):
    """How an entry's CRC is had."""

    STORED = "stored"
    """S3 stores it."""
    REBUILT = "rebuilt"
    """From those of the object's parts, which S3 stores."""
    CACHED = "cached"
    """It was had before, and kept."""
    COPIED = "copied"
    """S3 computed it, of a copy that was thrown away."""
    COMPUTED = "computed"
    """By reading: before the header where the entry is small, else while it goes by."""


class Known(NamedTuple):
    """What was kept of an object from earlier."""

    learned: int | None = None
    refuted: bool = False
    """What S3 tells is wrong: the object was read, and had another CRC."""


UNKNOWN = Known()


def is_worth_recalling(listed: Listed) -> bool:
    """Whether something may be known of an object that the plan can use: small ones are read anyway."""
    return listed.size > READ_AHEAD_BYTES or (listed.size > 0 and listed.crc is not None)


class _Untold(NamedTuple):
    """A large entry whose CRC S3 does not tell."""

    entry: int
    source: Source
    size: int
    learned: int | None


@dataclass
class _Bucket:
    """The large entries of one bucket."""

    sample: tuple[Source, int] | None = None
    """An object to try copying with: better one that stores a CRC, since some servers take that for the copy's."""
    sample_has_crc: bool = False
    untold: list[_Untold] = field(default_factory=list)
    untold_bytes: int = 0


@dataclass(frozen=True)
class Summary:
    """What an archive was planned with: entries by the way of their CRC, and by what pins their content."""

    crc: dict[str, int]
    pinned: dict[str, int]


class Discovery:
    """For one plan. Without `remote` S3 is asked to compute nothing.

    `most_copied_bytes` bounds what S3 is asked to copy of one bucket before the link is ready.
    """

    def __init__(self, memory: CrcMemory, remote: RemoteCrcs | None, *, most_copied_bytes: int) -> None:
        self._memory = memory
        self._remote = remote
        self._most_copied_bytes = most_copied_bytes
        self._buckets: dict[str, _Bucket] = {}
        self._ways: Counter[Way] = Counter()
        self._by_version = 0
        self._by_etag = 0

    @property
    def summary(self) -> Summary:
        """Of the entries noted; empty ones and those without an object have nothing to tell."""
        return Summary({way: self._ways[way] for way in Way}, {"version": self._by_version, "etag": self._by_etag})

    async def known(self, objects: Sequence[tuple[Source, Listed]]) -> list[Known]:
        """What is known of objects from earlier."""
        asked = [(source, listed.size) for source, listed in objects]
        refuted = await self._memory.refuted(asked)
        untold = [number for number, (_, listed) in enumerate(objects) if listed.crc is None or refuted[number]]
        learned = dict(zip(untold, await self._memory.recall([asked[each] for each in untold]), strict=True))
        return [Known(learned.get(number), each) for number, each in enumerate(refuted)]

    def note(self, entry: int, source: Source, listed: Listed, known: Known) -> None:
        """Note an entry as it is added."""
        if source.version_id:
            self._by_version += 1
        else:
            self._by_etag += 1
        if not listed.size:
            return
        told = listed.crc is not None and not known.refuted
        if told:
            self._ways[Way.REBUILT if listed.crc_rebuilt else Way.STORED] += 1
        else:
            self._ways[Way.COMPUTED if known.learned is None else Way.CACHED] += 1
        if listed.size > READ_AHEAD_BYTES:
            self._note_large(_Untold(entry, source, listed.size, known.learned), told=told, refuted=known.refuted)

    def _note_large(self, large: _Untold, *, told: bool, refuted: bool) -> None:
        bucket = self._buckets.setdefault(large.source.bucket, _Bucket())
        if bucket.sample is None or (told and not bucket.sample_has_crc):
            bucket.sample, bucket.sample_has_crc = (large.source, large.size), told
        if told or refuted:
            return
        bucket.untold_bytes += large.size
        if bucket.untold_bytes <= self._most_copied_bytes:
            bucket.untold.append(large)

    async def settle(self, builder: ManifestBuilder) -> None:
        """Have S3 compute what it does not tell, where that is possible and not too much."""
        if self._remote is None:
            return
        for bucket in self._buckets.values():
            if not bucket.untold or bucket.untold_bytes > self._most_copied_bytes:
                continue
            assert bucket.sample is not None
            if not await self._remote.proven(*bucket.sample):
                continue
            # That a CRC was learned by reading decides nothing here: without it S3 would have been asked.
            for each in bucket.untold:
                if each.learned is not None:
                    builder.tell(each.entry, each.learned)
            await self._copy(self._remote, [each for each in bucket.untold if each.learned is None], builder)

    async def _copy(self, remote: RemoteCrcs, unknown: Sequence[_Untold], builder: ManifestBuilder) -> None:
        objects = [(each.source, each.size) for each in unknown]
        learned: list[tuple[Source, int, int]] = []
        for each, crc in zip(unknown, await remote.compute(objects), strict=True):
            if crc is not None:
                builder.tell(each.entry, crc)
                learned.append((each.source, each.size, crc))
        await self._memory.keep(learned)
        self._ways[Way.COPIED] += len(learned)
        self._ways[Way.COMPUTED] -= len(learned)
