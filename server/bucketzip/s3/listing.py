"""Which objects there are: listings ahead of need, large ones in parallel, and a look at one object.

The order is always the same for the same objects: S3's own within a listing, and that of the keys between the
listings of sub-folders. It is not always that of the key's bytes: some servers list in the order of their
directories.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from bucketzip.errors import AccessDenied, NoSuchBucket, NoSuchObject
from bucketzip.plan.ahead import run_ahead
from bucketzip.plan.catalog import Listed, Pages
from bucketzip.s3.asking import ask
from bucketzip.s3.attributes import rebuilt_crc
from bucketzip.s3.checksums import full_object_crc
from bucketzip.s3.client import S3, refuse_unsupported
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.errors import OURS, reading_answer
from bucketzip.s3.heads import head_object
from bucketzip.s3.pages import ARCHIVED_CLASSES, Folder, Following, Page, pinning, read_page
from bucketzip.s3.versions import UNVERSIONED, Versions

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import HeadObjectOutputTypeDef

PAGES_AHEAD = 4
LISTINGS_AT_ONCE = 8
DENSE_FOLDERS = 4
"""A first page that shows no more sub-folders than this has so many keys in each that listing them in parallel pays."""
DEEPEST_SPLIT = 8

T = TypeVar("T")


class S3Catalog:
    """Implements `plan.catalog.Catalog`."""

    def __init__(self, s3: S3, keeper: CredentialKeeper, versions: Versions) -> None:
        self._s3 = s3
        self._keeper = keeper
        self._versions = versions

    async def pages(self, bucket: str, prefix: str) -> Pages:
        """All objects whose keys begin with `prefix`."""
        refuse_unsupported(bucket)
        folder = Folder(bucket, prefix, versions=await self._versions.pin(bucket, prefix))
        first = await self._page(folder)
        if not first.following:
            yield first.objects
            return
        listings = await self._split(folder, first.objects)
        if listings is None:
            yield first.objects
            listings = [self._listing(folder, first.following)]
        ahead = run_ahead(listings, streams_at_once=LISTINGS_AT_ONCE, items_ahead=PAGES_AHEAD)
        async with aclosing(ahead) as pages:
            async for page in pages:
                yield page

    async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
        """One object, with its CRC-32 where S3 stores it."""
        refuse_unsupported(bucket)
        pinned = bool(version_id) or await self._versions.pin(bucket, key[: key.rfind("/") + 1])
        where = f"s3://{bucket}/{key}"
        asked: dict[str, Any] = {"ChecksumMode": "ENABLED"}
        if version_id:
            asked["VersionId"] = version_id
        try:
            head = await self._ask(where, lambda: head_object(self._s3, bucket, key, **asked))
        except NoSuchObject as error:
            # A 404 to HEAD has no body, and does not say whether the bucket is there.
            await self._look_for_bucket(bucket)
            version = f" (version {version_id})" if version_id else ""
            raise NoSuchObject(f"{where}{version} does not exist") from error
        except AccessDenied as error:
            signer = "" if self._s3.keeper.whose is OURS else f" to {self._s3.keeper.whose.told}:"
            raise AccessDenied(
                f"{where}: S3 says{signer} access denied; allow s3:GetObject on it (and kms:Decrypt for its key), "
                f"and s3:ListBucket on the bucket, without which a missing object looks denied"
            ) from error
        version_id = version_id or (head.get("VersionId", "") if pinned else "")
        with reading_answer(where):
            return await self._looked_at(bucket, key, head, version_id)

    async def _looked_at(self, bucket: str, key: str, head: "HeadObjectOutputTypeDef", version_id: str) -> Listed:
        restored = 'ongoing-request="false"' in head.get("Restore", "")
        version_id = "" if version_id == UNVERSIONED else version_id
        size = head["ContentLength"]
        etag = pinning(head["ETag"], size, f"s3://{bucket}/{key}")
        crc = full_object_crc(head.get("ChecksumCRC32"), head.get("ChecksumType"))
        rebuilt = None
        if crc is None and head.get("ChecksumCRC32") and size:
            rebuilt = await rebuilt_crc(self._s3, bucket, key, version_id=version_id, etag=etag, size=size)
        return Listed(
            key,
            size,
            etag,
            int(head["LastModified"].timestamp()),
            archived=head.get("StorageClass") in ARCHIVED_CLASSES and not restored,
            version_id=version_id,
            crc=rebuilt if crc is None else crc,
            crc_rebuilt=rebuilt is not None,
        )

    async def _split(self, folder: Folder, first: list[Listed]) -> list[Pages] | None:
        """Listings that together make that of `folder` and can run side by side; None where that would not pay.

        They are put in the order of the keys. `first` is the first page of the plain listing.
        """
        for _ in range(DEEPEST_SPLIT):
            prefix = folder.prefix
            keys = [listed.key for listed in first]
            folders_seen = {key[: key.find("/", len(prefix)) + 1] for key in keys if "/" in key[len(prefix) :]}
            if len(folders_seen) > DENSE_FOLDERS:
                return None
            level = await self._page(folder, {"Delimiter": "/"})
            if level.following or not level.folders:
                return None
            if len(level.folders) == 1 and not level.objects:
                folder = folder._replace(prefix=level.folders[0])  # all lies one deeper: look for the fork there
                continue
            found = [(each, self._listing(folder._replace(prefix=each))) for each in level.folders]
            found += [(page[0].key, _one(page)) for page in _runs(level.objects, level.folders)]
            return [listing for _, listing in sorted(found, key=lambda each: each[0].encode())]
        return None

    async def _look_for_bucket(self, bucket: str) -> None:
        try:
            await self._ask(f"s3://{bucket}", lambda: self._s3.client.head_bucket(Bucket=bucket))
        except NoSuchObject as error:
            raise NoSuchBucket(f"s3://{bucket} does not exist") from error

    async def _listing(self, folder: Folder, after: Following | None = None) -> Pages:
        while True:
            page = await self._page(folder, after)
            yield page.objects
            after = page.following
            if not after:
                return

    async def _page(self, folder: Folder, more: Following | None = None) -> Page:
        return await self._ask(folder.url, lambda: read_page(self._s3, folder, more or {}))

    async def _ask(self, where: str, call: Callable[[], Awaitable[T]]) -> T:
        return await ask(self._keeper, where, call)


async def _one(page: list[Listed]) -> Pages:
    yield page


def _runs(objects: list[Listed], folders: list[str]) -> list[list[Listed]]:
    """The objects of one level, cut where a folder lies between two of them."""
    borders = deque(sorted(folder.encode() for folder in folders))
    runs: list[list[Listed]] = []
    fresh = True
    for each in sorted(objects, key=lambda listed: listed.key.encode()):
        while borders and borders[0] < each.key.encode():
            borders.popleft()
            fresh = True
        if fresh:
            runs.append([])
            fresh = False
        runs[-1].append(each)
    return runs
