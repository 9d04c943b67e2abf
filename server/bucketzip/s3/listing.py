"""Which objects there are: listings ahead of need, large ones in parallel, and a look at one object.

The order is always the same for the same objects: S3's own within a listing, and that of the keys between the
listings of sub-folders. It is not always that of the key's bytes: some servers list in the order of their
directories.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from bucketzip.errors import AccessDenied, CredentialsExpired, NoSuchBucket, NoSuchObject, S3Error
from bucketzip.plan.ahead import run_ahead
from bucketzip.plan.catalog import Listed, Pages
from bucketzip.s3.checksums import full_object_crc
from bucketzip.s3.client import S3, refuse_unsupported
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.errors import crossing

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import ListObjectsV2OutputTypeDef, ObjectTypeDef

PAGES_AHEAD = 4
LISTINGS_AT_ONCE = 8
DENSE_FOLDERS = 4
"""A first page that shows no more sub-folders than this has so many keys in each that listing them in parallel pays."""
DEEPEST_SPLIT = 8

_ARCHIVED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
T = TypeVar("T")


class S3Catalog:
    """Implements `plan.catalog.Catalog`."""

    def __init__(self, s3: S3, keeper: CredentialKeeper) -> None:
        self._s3 = s3
        self._keeper = keeper

    async def pages(self, bucket: str, prefix: str) -> Pages:
        """All objects whose keys begin with `prefix`."""
        refuse_unsupported(bucket)
        answer = await self._page(bucket, prefix)
        first = self._listed(answer)
        token = _next_token(answer)
        if not token:
            yield first
            return
        listings = await self._split(bucket, prefix, first)
        if listings is None:
            yield first
            listings = [self._listing(bucket, prefix, token)]
        ahead = run_ahead(listings, streams_at_once=LISTINGS_AT_ONCE, items_ahead=PAGES_AHEAD)
        async with aclosing(ahead) as pages:
            async for page in pages:
                yield page

    async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
        """One object, with its CRC-32 where S3 stores it."""
        refuse_unsupported(bucket)
        where = f"s3://{bucket}/{key}"
        asked: dict[str, Any] = {"Bucket": bucket, "Key": key, "ChecksumMode": "ENABLED"}
        if version_id:
            asked["VersionId"] = version_id
        try:
            head = await self._ask(where, lambda: self._s3.client.head_object(**asked))
        except NoSuchObject as error:
            # A 404 to HEAD has no body, and does not say whether the bucket is there.
            await self._look_for_bucket(bucket)
            version = f" (version {version_id})" if version_id else ""
            raise NoSuchObject(f"{where}{version} does not exist") from error
        except AccessDenied as error:
            raise AccessDenied(
                f"{where}: S3 says access denied; allow s3:GetObject on it (and kms:Decrypt for its key), "
                f"and s3:ListBucket on the bucket, without which a missing object looks denied"
            ) from error
        restored = 'ongoing-request="false"' in head.get("Restore", "")
        return Listed(
            key,
            head["ContentLength"],
            _quoted(head["ETag"]),
            int(head["LastModified"].timestamp()),
            archived=head.get("StorageClass") in _ARCHIVED_CLASSES and not restored,
            version_id=version_id,
            crc=full_object_crc(head.get("ChecksumCRC32"), head.get("ChecksumType")),
        )

    async def _split(self, bucket: str, prefix: str, first: list[Listed]) -> list[Pages] | None:
        """Listings that together make that of `prefix` and can run side by side; None where that would not pay.

        They are put in the order of the keys. `first` is the first page of the plain listing.
        """
        for _ in range(DEEPEST_SPLIT):
            keys = [listed.key for listed in first]
            folders_seen = {key[: key.find("/", len(prefix)) + 1] for key in keys if "/" in key[len(prefix) :]}
            if len(folders_seen) > DENSE_FOLDERS:
                return None
            level = await self._page(bucket, prefix, Delimiter="/")
            folders = [common["Prefix"] for common in level.get("CommonPrefixes", [])]
            if level.get("IsTruncated") or not folders:
                return None
            here = self._listed(level)
            if len(folders) == 1 and not here:
                prefix = folders[0]  # all lies one folder deeper: look for the fork there
                continue
            found = [(folder, self._listing(bucket, folder)) for folder in folders]
            found += [(page[0].key, _one(page)) for page in _runs(here, folders)]
            return [listing for _, listing in sorted(found, key=lambda each: each[0].encode())]
        return None

    async def _look_for_bucket(self, bucket: str) -> None:
        try:
            await self._ask(f"s3://{bucket}", lambda: self._s3.client.head_bucket(Bucket=bucket))
        except NoSuchObject as error:
            raise NoSuchBucket(f"s3://{bucket} does not exist") from error

    async def _listing(self, bucket: str, prefix: str, token: str = "") -> Pages:
        while True:
            page = await self._page(bucket, prefix, **({"ContinuationToken": token} if token else {}))
            yield self._listed(page)
            token = _next_token(page, token)
            if not token:
                return

    async def _page(self, bucket: str, prefix: str, **more: str) -> "ListObjectsV2OutputTypeDef":
        asked: dict[str, Any] = {
            "Bucket": bucket,
            "Prefix": prefix,
            "OptionalObjectAttributes": ["RestoreStatus"],
            **more,
        }
        return await self._ask(f"s3://{bucket}/{prefix}", lambda: self._s3.client.list_objects_v2(**asked))

    async def _ask(self, where: str, call: Callable[[], Awaitable[T]]) -> T:
        """One call, made again once with new credentials where these have expired."""
        keys = self._keeper.current()
        try:
            with crossing(where):
                return await call()
        except CredentialsExpired:
            await self._keeper.renew(keys)
            with crossing(where):
                return await call()

    def _listed(self, page: "ListObjectsV2OutputTypeDef") -> list[Listed]:
        try:
            return [self._one_listed(found) for found in page.get("Contents", [])]
        except KeyError as error:
            raise S3Error(f"{_where(page)}: S3 sent a listing of objects without {error}") from error

    def _one_listed(self, found: "ObjectTypeDef") -> Listed:
        restored = "RestoreExpiryDate" in found.get("RestoreStatus", {})
        algorithms = found.get("ChecksumAlgorithm")
        return Listed(
            found["Key"],
            found["Size"],
            _quoted(found["ETag"]),
            int(found["LastModified"].timestamp()),
            archived=found.get("StorageClass") in _ARCHIVED_CLASSES and not restored,
            # AWS lists the algorithms of every object that has a checksum; servers that never do must be asked.
            may_have_crc="CRC32" in algorithms if algorithms else self._s3.custom_endpoint,
        )


def _next_token(page: "ListObjectsV2OutputTypeDef", token: str = "") -> str:
    """Where the listing goes on behind the page that `token` had led to; nothing at its end."""
    if not page.get("IsTruncated"):
        return ""
    following = page.get("NextContinuationToken", "")
    if following in {"", token}:
        raise S3Error(f"{_where(page)}: S3 says that the listing goes on, but not where")
    return following


def _where(page: "ListObjectsV2OutputTypeDef") -> str:
    return f"s3://{page.get('Name', '')}/{page.get('Prefix', '')}"


def _quoted(etag: str) -> str:
    return etag if etag.startswith('"') else f'"{etag}"'


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
