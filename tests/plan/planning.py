"""Plan an archive, and look at what it came to; and a catalog of keys that no server here would hold."""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import Manifest, Source
from bucketzip.errors import NoSuchObject
from bucketzip.plan.catalog import Catalog, Listed, Pages
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.endpoints import AllowedEndpoints
from bucketzip.plan.planner import Planner
from bucketzip.plan.request import DownloadRequest
from bucketzip.plan.sealing import Sealing
from bucketzip.state.instance_key import InstanceKey
from bucketzip.transfer.ports import CrcMemory, RemoteCrcs

SOME_TIME = 1_700_000_000


KEY = InstanceKey(b"k" * 32)
SEALING = Sealing(KEY, AllowedEndpoints())


class Planned:
    """An archive as it was planned."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.etag = Layout(manifest).etag
        self.entries = {manifest.name(entry).decode(): entry for entry in range(len(manifest))}
        assert len(self.entries) == len(manifest), "two entries of one name"

    @property
    def names(self) -> list[str]:
        """The names, in the order of the archive."""
        return list(self.entries)

    @property
    def keys(self) -> dict[str, str]:
        """Which object is behind each name."""
        return {name: self.source(name).key for name in self.entries if not self.is_inline(name)}

    def is_inline(self, name: str) -> bool:
        return isinstance(self.manifest.source(self.entries[name]), bytes)

    def source(self, name: str) -> Source:
        source = self.manifest.source(self.entries[name])
        assert isinstance(source, Source)
        return source

    def text(self, name: str) -> str:
        content = self.manifest.source(self.entries[name])
        assert isinstance(content, bytes)
        return content.decode()


class Memory:
    """CRCs from earlier, in memory."""

    def __init__(self, learned: Mapping[str, int] | None = None, refuted: Collection[str] = ()) -> None:
        self.learned = dict(learned or {})
        self._refuted = set(refuted)

    async def recall(self, objects: Sequence[tuple[Source, int]]) -> list[int | None]:
        return [self.learned.get(source.key) for source, _ in objects]

    async def keep(self, learned: Sequence[tuple[Source, int, int]]) -> None:
        self.learned |= {source.key: crc for source, _, crc in learned}

    async def refuted(self, objects: Sequence[tuple[Source, int]]) -> list[bool]:
        return [source.key in self._refuted for source, _ in objects]

    async def refute(self, source: Source, size: int) -> None:
        self._refuted.add(source.key)


def discovery(
    memory: CrcMemory | None = None, remote: RemoteCrcs | None = None, *, most_bytes: int = 1 << 40
) -> Discovery:
    """By default nothing is known from earlier, and S3 computes nothing."""
    return Discovery(memory or Memory(), remote, most_copied_bytes=most_bytes)


async def plan(
    catalog: Catalog, *sources: str | dict[str, Any], crcs: Discovery | None = None, **fields: Any
) -> Planned:
    request = DownloadRequest.model_validate({"sources": list(sources), **fields})
    file = io.BytesIO()
    (await Planner(request, catalog, crcs or discovery()).plan()).write(file)
    return Planned(Manifest(file.getvalue()))


def listed(key: str, **more: Any) -> Listed:
    return Listed(**{"key": key, "size": 1, "etag": '"etag"', "mtime": SOME_TIME, **more})


class Shelf:
    """A catalog in memory: any keys, in the order they are given, in pages of two."""

    PAGE = 2

    def __init__(self, *objects: Listed | str, looks: Iterable[Listed] = ()) -> None:
        self.objects = [listed(each) if isinstance(each, str) else each for each in objects]
        self._looks = {each.key: each for each in looks}
        self.looked_at: list[str] = []

    async def pages(self, bucket: str, prefix: str) -> Pages:
        found = [each for each in self.objects if each.key.startswith(prefix)]
        for at in range(0, len(found), self.PAGE):
            yield found[at : at + self.PAGE]

    async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
        self.looked_at.append(key)
        if key in self._looks:
            return self._looks[key]
        for each in self.objects:
            if each.key == key:
                return each
        raise NoSuchObject(f"s3://{bucket}/{key} does not exist")
