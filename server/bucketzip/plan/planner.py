"""Request -> manifest: which objects, by which names, in which order. Everything that decides a byte is pinned here."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

from bucketzip.archive.deflate import BLOCK_BYTES
from bucketzip.archive.manifest import READ_AHEAD_BYTES, ManifestBuilder, Source
from bucketzip.archive.names import Names
from bucketzip.errors import BucketzipError, NoSuchObject, NothingToZip, ObjectArchived, TooManyEntries
from bucketzip.plan.ahead import run_ahead
from bucketzip.plan.catalog import Catalog, Listed
from bucketzip.plan.discovery import UNKNOWN, Discovery, Known, is_worth_recalling
from bucketzip.plan.globs import Globs
from bucketzip.plan.limits import Limits
from bucketzip.plan.placing import Placing
from bucketzip.plan.request import Kind, SourceRequest, ZipRequest

SOURCES_AT_ONCE = 16
"""A request may name thousands of objects, and each costs a look and a listing."""
PAGES_AHEAD = 2
LOOKS_AT_ONCE = 32
SHOWN = 10
"""How many missing sources an error names; MISSING.txt has them all."""

MISSING_NAME = "MISSING.txt"
_NO_TIME = 315_532_800  # 1980-01-01, the first day of DOS

LeftOut = Callable[[str, Listed, str], None]
"""Hears of the bucket, the object and the reason."""
_Wants = Callable[[str, Listed], bool]
"""Whether the object by this path in the source is wanted."""


@dataclass
class _Found:
    """An object, where the source wants it in the archive, and what is known of its CRC."""

    path: str
    listed: Listed
    known: Known = UNKNOWN


class Missing(NamedTuple):
    """What cannot be in the archive, and why."""

    url: str
    error: BucketzipError


_Page = list[_Found | Missing]


def builder_for(request: ZipRequest, *, descriptors: bool = True, origin: str = "") -> ManifestBuilder:
    """What takes the entries of an archive. A compressed one has descriptors, and reads ahead no more than a block."""
    if request.compressing:
        return ManifestBuilder(read_ahead_bytes=BLOCK_BYTES, origin=origin)
    return ManifestBuilder(descriptors=descriptors, origin=origin)


@dataclass
class Planner:
    """Plans one request."""

    request: ZipRequest
    catalog: Catalog
    crcs: Discovery
    builder: ManifestBuilder = field(default_factory=ManifestBuilder)
    names: Names = field(default_factory=Names)
    missing: list[Missing] = field(default_factory=list)
    newest: int = _NO_TIME
    most_entries: int | None = None
    left_out: LeftOut | None = None
    """Hears of what the globs leave out, ahead of the entries beside it."""
    looks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOOKS_AT_ONCE))

    def __post_init__(self) -> None:
        self._placing = Placing(self.request)
        self._limits = Limits(self.request)

    async def plan(self) -> ManifestBuilder:
        """List everything; raises what is missing, unless the request says to skip that."""
        ahead = run_ahead(
            map(self._pages, self.request.sources), streams_at_once=SOURCES_AT_ONCE, items_ahead=PAGES_AHEAD
        )
        async with aclosing(ahead) as pages:
            async for source, page in pages:
                self._add(source, page)
                if self.most_entries is not None and len(self.builder) > self.most_entries:
                    raise TooManyEntries(
                        f"the sources hold more than {self.most_entries:,} objects; make several archives of them, "
                        "or raise BUCKETZIP_MOST_ENTRIES"
                    )
        if self.missing and self.request.on_missing == "fail":
            raise self._all_missing()
        if self.missing:
            lines = "".join(f"{url}\t{error.code}\t{error}\n" for url, error in self.missing)
            text = f"Not in this archive, because it could not be found or read:\n\n{lines}"
            self.builder.add_inline(
                self.names.file(self._placing.beside(MISSING_NAME)), text.encode(), mtime=self.newest
            )
        if not len(self.builder):  # `flatten` leaves folders out
            raise NothingToZip
        if self.request.compression == "store":  # otherwise no CRC is needed before the content was read
            await self.crcs.settle(self.builder)
        return self.builder

    async def _pages(self, source: SourceRequest) -> AsyncGenerator[tuple[SourceRequest, _Page], None]:
        """All that a source has or lacks. It changes nothing, since many run side by side."""
        nothing = True
        async with aclosing(self._found(source)) as pages:
            async for page in pages:
                nothing = nothing and not page
                bucket = source.location.bucket
                yield source, await self._recall(bucket, await self._look_at_large(bucket, page))
        if nothing:
            yield source, [Missing(source.location.url, NothingToZip(self._why_empty(source)))]

    async def _found(self, source: SourceRequest) -> AsyncGenerator[_Page, None]:
        """What a source has, a page at a time, by paths in the archive (without root and prefix)."""
        bucket, key, kind = source.location
        wants = self._wants(source)
        if kind is Kind.FOLDER:
            async for page in self.catalog.pages(bucket, key):
                yield _within(page, len(key), "", wants)
        elif kind is Kind.PREFIX:
            async for page in self.catalog.pages(bucket, key):
                yield _within(page, key.rfind("/") + 1, "", wants)
        else:
            name = source.name or key.rpartition("/")[2]
            alone = await self._object(source)
            if alone is not None and wants(name, alone):
                yield [_Found(name, alone)]
            empty = alone is None
            if source.version_id is None:
                async for page in self.catalog.pages(bucket, f"{key}/"):
                    empty = empty and not page
                    yield _within(page, len(key) + 1, f"{name}/", wants)
            if empty:
                what = f"version {source.version_id} of" if source.version_id else "object and no folder"
                yield [Missing(source.location.url, NoSuchObject(f"there is no {what} {source.url}"))]

    def _wants(self, source: SourceRequest) -> _Wants:
        globs, bucket, left_out = Globs(source.include, source.exclude), source.location.bucket, self.left_out

        def wants(path: str, listed: Listed) -> bool:
            why_not = globs.why_not(path)
            if why_not is not None and left_out is not None:
                left_out(bucket, listed, why_not)
            return why_not is None

        return wants

    async def _object(self, source: SourceRequest) -> Listed | None:
        bucket, key, _ = source.location
        try:
            return await self.catalog.look(bucket, key, source.version_id or "")
        except NoSuchObject:
            return None

    def _add(self, source: SourceRequest, page: _Page) -> None:
        bucket = source.location.bucket
        for found in page:
            if isinstance(found, Missing):
                self.missing.append(found)
                continue
            listed = found.listed
            url = f"s3://{bucket}/{listed.key}"
            self.newest = max(self.newest, listed.mtime)
            if listed.key.endswith("/") and not listed.size:
                place = self._placing.folder(found.path, listed.key, source)
                folder = self.names.folder(place) if place else None
                if folder is not None:
                    self.builder.add_inline(folder, b"", mtime=listed.mtime)
            elif listed.archived:
                error = ObjectArchived(f"{url} is archived; restore it first (aws s3api restore-object)")
                self.missing.append(Missing(url, error))
            else:
                self._limits.count(listed.size)
                pinned = _pinned(bucket, listed)
                self.crcs.note(len(self.builder), pinned, listed, found.known)
                self.builder.add(
                    self.names.file(self._placing.file(found.path, listed.key, source)),
                    pinned,
                    size=listed.size,
                    mtime=listed.mtime,
                    crc=None if found.known.refuted else listed.crc,
                    learned=found.known.learned,
                    reread=found.known.refuted,
                )

    async def _look_at_large(self, bucket: str, page: _Page) -> _Page:
        """Ask for the CRC-32 of entries that are too large to be read ahead, where S3 may have it."""

        async def look(found: _Found) -> _Found | Missing:
            async with self.looks:
                try:
                    listed = found.listed
                    return _Found(found.path, await self.catalog.look(bucket, listed.key, listed.version_id))
                except NoSuchObject as error:  # it was listed, and is not there any more
                    return Missing(f"s3://{bucket}/{found.listed.key}", error)

        looks = {
            number: asyncio.create_task(look(found))
            for number, found in enumerate(page)
            if isinstance(found, _Found) and _is_worth_a_look(found.listed)
        }
        try:
            await asyncio.gather(*looks.values())
        finally:
            for each in looks.values():  # where one failed, the rest is of no use
                each.cancel()
        return [looks[number].result() if number in looks else found for number, found in enumerate(page)]

    async def _recall(self, bucket: str, page: _Page) -> _Page:
        """Add what is known of objects from earlier."""
        objects = [found for found in page if isinstance(found, _Found) and is_worth_recalling(found.listed)]
        known = await self.crcs.known([(_pinned(bucket, found.listed), found.listed) for found in objects])
        for found, each in zip(objects, known, strict=True):
            found.known = each
        return page

    def _all_missing(self) -> BucketzipError:
        _, first = self.missing[0]
        details = "; ".join(str(error) for _, error in self.missing[:SHOWN])
        more = len(self.missing) - SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        return type(first)(f"{details}{rest}")

    @staticmethod
    def _why_empty(source: SourceRequest) -> str:
        url = source.location.url
        if source.include or source.exclude:
            return f"no object of {url} matches its include and exclude globs"
        return f"there are no objects in {url}"


def _pinned(bucket: str, listed: Listed) -> Source:
    return Source(bucket, listed.key, listed.etag, listed.version_id)


def _is_worth_a_look(listed: Listed) -> bool:
    return listed.size > READ_AHEAD_BYTES and listed.may_have_crc and not listed.archived and listed.crc is None


def _within(page: list[Listed], cut: int, front: str, wants: _Wants) -> _Page:
    """The page by paths relative to the first `cut` characters of the keys.

    The folder's own marker is not part of it; should it have bytes, it is an object like others, by the folder's name.
    """
    return [
        _Found(front + path, listed)
        for listed in page
        if (path := listed.key[cut:] or (listed.key[:-1].rpartition("/")[2] if listed.size else ""))
        and wants(path, listed)
    ]
