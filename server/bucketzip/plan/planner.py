"""Request -> manifest: which objects, by which names, in which order. Everything that decides a byte is pinned here."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from wcmatch import glob

from bucketzip.archive.manifest import READ_AHEAD_BYTES, ManifestBuilder, Source
from bucketzip.archive.names import Names
from bucketzip.errors import BucketzipError, NoSuchObject, NothingToZip, ObjectArchived
from bucketzip.plan.catalog import Catalog, Listed
from bucketzip.plan.request import DownloadRequest, Kind, SourceRequest

LOOKS_AT_ONCE = 32
SHOWN = 10
"""How many missing sources an error names; MISSING.txt has them all."""

MISSING_NAME = "MISSING.txt"
_NO_TIME = 315_532_800  # 1980-01-01, the first day of DOS

Selects = Callable[[str], bool]

_DOTS = re.compile(r"(?<![^/])\.\.?(?![^/])")


@dataclass
class _Found:
    """An object, and where the source wants it in the archive."""

    path: str
    listed: Listed
    gone: NoSuchObject | None = None
    """It was listed, and was not there any more when it was looked at."""


@dataclass
class Planner:
    """Plans one request."""

    request: DownloadRequest
    catalog: Catalog
    builder: ManifestBuilder = field(default_factory=ManifestBuilder)
    names: Names = field(default_factory=Names)
    missing: list[tuple[str, BucketzipError]] = field(default_factory=list)
    newest: int = _NO_TIME

    async def plan(self) -> ManifestBuilder:
        """List everything; raises what is missing, unless the request says to skip that."""
        for source in self.request.sources:
            known_missing = len(self.missing)
            nothing = True
            async for page in self._found(source):
                nothing = nothing and not page
                await self._add(source, page)
            if nothing and len(self.missing) == known_missing:
                self._miss(source.location.url, NothingToZip(self._why_empty(source)))
        if self.missing and self.request.on_missing == "fail":
            raise self._all_missing()
        if self.missing:
            lines = "".join(f"{url}\t{error.code}\t{error}\n" for url, error in self.missing)
            text = f"Not in this archive, because it could not be found or read:\n\n{lines}"
            self.builder.add_inline(self.names.file(self._place(MISSING_NAME)), text.encode(), mtime=self.newest)
        if not len(self.builder):  # `flatten` leaves folders out
            raise NothingToZip
        return self.builder

    async def _found(self, source: SourceRequest) -> AsyncIterator[list[_Found]]:
        """What a source has, a page at a time, by paths in the archive (without root and prefix)."""
        bucket, key, kind = source.location
        selects = _selects(source)
        if kind is Kind.FOLDER:
            async for page in self.catalog.pages(bucket, key):
                yield _within(page, len(key), "", selects)
        elif kind is Kind.PREFIX:
            async for page in self.catalog.pages(bucket, key):
                yield _within(page, key.rfind("/") + 1, "", selects)
        else:
            name = source.name or key.rpartition("/")[2]
            alone = await self._object(source)
            if alone is not None and selects(name):
                yield [_Found(name, alone)]
            empty = alone is None
            if source.version_id is None:
                async for page in self.catalog.pages(bucket, f"{key}/"):
                    empty = empty and not page
                    yield _within(page, len(key) + 1, f"{name}/", selects)
            if empty:
                what = f"version {source.version_id} of" if source.version_id else "object and no folder"
                self._miss(source.location.url, NoSuchObject(f"there is no {what} {source.url}"))

    async def _object(self, source: SourceRequest) -> Listed | None:
        bucket, key, _ = source.location
        try:
            return await self.catalog.look(bucket, key, source.version_id or "")
        except NoSuchObject:
            return None

    async def _add(self, source: SourceRequest, page: list[_Found]) -> None:
        bucket = source.location.bucket
        await self._look_at_large(bucket, page)
        for found in page:
            listed = found.listed
            url = f"s3://{bucket}/{listed.key}"
            self.newest = max(self.newest, listed.mtime)
            path = found.path.rstrip("/").rpartition("/")[2] if self.request.flatten else found.path
            if found.gone:
                self._miss(url, found.gone)
            elif listed.key.endswith("/") and not listed.size:
                folder = None if self.request.flatten else self.names.folder(self._place(path, source))
                if folder is not None:
                    self.builder.add_inline(folder, b"", mtime=listed.mtime)
            elif listed.archived:
                self._miss(url, ObjectArchived(f"{url} is archived; restore it first (aws s3api restore-object)"))
            else:
                self.builder.add(
                    self.names.file(self._place(path, source)),
                    Source(bucket, listed.key, listed.etag, listed.version_id),
                    size=listed.size,
                    mtime=listed.mtime,
                    crc=listed.crc,
                )

    async def _look_at_large(self, bucket: str, page: list[_Found]) -> None:
        """Ask for the CRC-32 of entries that are too large to be read ahead, where S3 may have it."""
        gate = asyncio.Semaphore(LOOKS_AT_ONCE)

        async def look(found: _Found) -> None:
            async with gate:
                try:
                    found.listed = await self.catalog.look(bucket, found.listed.key)
                except NoSuchObject as error:
                    found.gone = error

        looks = [asyncio.create_task(look(found)) for found in page if _is_worth_a_look(found.listed)]
        try:
            await asyncio.gather(*looks)
        finally:
            for each in looks:  # where one failed, the rest is of no use
                each.cancel()

    def _place(self, path: str, source: SourceRequest | None = None) -> str:
        return "/".join(part for part in (self.request.root, source.prefix if source else None, path) if part)

    def _miss(self, url: str, error: BucketzipError) -> None:
        self.missing.append((url, error))

    def _all_missing(self) -> BucketzipError:
        _, first = self.missing[0]
        details = "; ".join(str(error) for _, error in self.missing[:SHOWN])
        more = len(self.missing) - SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        return type(first)(f'{details}{rest} (or ask with "on_missing": "skip" to leave them out)')

    @staticmethod
    def _why_empty(source: SourceRequest) -> str:
        url = source.location.url
        if source.include or source.exclude:
            return f"no object of {url} matches its include and exclude globs"
        return f"there are no objects in {url}"


def _is_worth_a_look(listed: Listed) -> bool:
    return listed.size > READ_AHEAD_BYTES and listed.may_have_crc and not listed.archived and listed.crc is None


def _within(page: list[Listed], cut: int, front: str, selects: Selects) -> list[_Found]:
    """The page by paths relative to the first `cut` characters of the keys.

    The folder's own marker is not part of it; should it have bytes, it is an object like others, by the folder's name.
    """
    return [
        _Found(front + path, listed)
        for listed in page
        if (path := listed.key[cut:] or (listed.key[:-1].rpartition("/")[2] if listed.size else "")) and selects(path)
    ]


def _selects(source: SourceRequest) -> Selects:
    """Whether a path is wanted: it matches an include glob (if there are any) and no exclude glob.

    As in .gitignore: `*` stays within a folder, `**` crosses folders, a glob with a slash in front or within is about
    the whole path and one without about its last part, and one that ends with a slash matches all in such a folder.
    """
    if not source.include and not source.exclude:
        return lambda _: True
    include, exclude = (_matcher(globs) for globs in (source.include, source.exclude))
    return lambda path: (include is None or include(path)) and not (exclude is not None and exclude(path))


def _matcher(globs: list[str]) -> Selects | None:
    if not globs:
        return None
    anchored = [each.lstrip("/") if "/" in each[:-1] else f"**/{each}" for each in globs]
    patterns = [f"{each}**" if each.endswith("/") else each for each in anchored]
    # In a key the parts `.` and `..` are like any other, but no wildcard takes them for one.
    compiled = glob.compile(
        [_DOTS.sub("_", each) for each in patterns], flags=glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX
    )
    return lambda path: compiled.match(_DOTS.sub("_", path))
