"""The buckets that the credentials may list."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple

from bucketzip.s3.client import S3
from bucketzip.s3.errors import crossing

ALLOW = "s3:ListAllMyBuckets"


class BucketFound(NamedTuple):
    """One bucket."""

    name: str
    created_at: datetime


async def all_buckets(s3: S3) -> AsyncIterator[BucketFound]:
    """In the order of their names; raises our errors."""
    pages = s3.client.get_paginator("list_buckets").paginate()
    with crossing("the list of buckets", allow=ALLOW):
        async for page in pages:
            for bucket in page.get("Buckets", []):
                yield BucketFound(bucket["Name"], bucket["CreationDate"])
