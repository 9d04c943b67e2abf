"""Buckets, folders and sizes for people: each page is asked for when somebody wants to see it, and never ahead."""

import time
from typing import TYPE_CHECKING, Any

from bucketzip.errors import S3Error
from bucketzip.plan.browsing import Bucket, Level, Shown, Totals
from bucketzip.s3.asking import ask
from bucketzip.s3.client import S3, refuse_unsupported
from bucketzip.s3.pages import Following, following_of

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import ObjectTypeDef

LISTING_BUCKETS = "s3:ListAllMyBuckets"
LISTING = "s3:ListBucket on the bucket"
MOST_BUCKETS = 10_000
"""In one answer; AWS wants to be told so by accounts that may have more."""


class S3Browser:
    """Implements `plan.browsing.Browser`."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3

    async def buckets(self) -> list[Bucket]:
        """All that the credentials own."""
        where, found = "the list of buckets", list[Bucket]()
        asked: dict[str, Any] = {} if self._s3.custom_endpoint else {"MaxBuckets": MOST_BUCKETS}
        more: Following = {}
        while True:
            answer = await self._ask_buckets(where, asked | more)
            for each in answer.get("Buckets", []):
                created = each.get("CreationDate")
                found.append(Bucket(each["Name"], int(created.timestamp()) if created is not None else None))
            token = answer.get("ContinuationToken")
            if not token:
                return found
            if more == (more := {"ContinuationToken": token}):
                raise S3Error(f"{where}: S3 says that it goes on, but not where")

    async def level(self, bucket: str, prefix: str, *, after: str, limit: int) -> Level:
        """A page of what lies directly below a prefix, but for the marker of the folder itself."""
        page = await self._page(bucket, prefix, after, {"Delimiter": "/", "MaxKeys": limit})
        return page._replace(objects=[each for each in page.objects if each.key != prefix])

    async def totals(self, bucket: str, prefix: str, *, after: str, most_keys: int, most_seconds: float) -> Totals:
        """How many objects begin with a prefix, and their bytes."""
        began = time.monotonic()
        entries = size = 0
        while True:
            page = await self._page(bucket, prefix, after, {})
            entries += len(page.objects)
            size += sum(each.size for each in page.objects)
            after = page.following
            if not after or entries >= most_keys or time.monotonic() - began >= most_seconds:
                return Totals(entries, size, after)

    async def _page(self, bucket: str, prefix: str, after: str, asked: dict[str, Any]) -> Level:
        refuse_unsupported(bucket)
        url = f"s3://{bucket}/{prefix}"
        more: Following = {"ContinuationToken": after} if after else {}
        request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, **asked, **more}
        answer = await ask(self._s3.keeper, url, lambda: self._s3.client.list_objects_v2(**request), allow=LISTING)
        following = following_of(answer, {"NextContinuationToken": "ContinuationToken"}, more, url)
        try:
            objects = [_shown(each) for each in answer.get("Contents", [])]
        except KeyError as error:
            raise S3Error(f"{url}: S3 sent a listing of objects without {error}") from error
        folders = [common["Prefix"] for common in answer.get("CommonPrefixes", [])]
        return Level(folders, objects, following.get("ContinuationToken", ""))

    async def _ask_buckets(self, where: str, asked: dict[str, Any]) -> Any:
        return await ask(self._s3.keeper, where, lambda: self._s3.client.list_buckets(**asked), allow=LISTING_BUCKETS)


def _shown(found: "ObjectTypeDef") -> Shown:
    return Shown(
        found["Key"], found["Size"], int(found["LastModified"].timestamp()), found.get("StorageClass") or "STANDARD"
    )
