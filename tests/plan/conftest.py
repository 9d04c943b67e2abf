"""The real S3 server as the planner sees it: one catalog and one bucket for a whole file, a folder of it for each test.

A client costs 0.2 s, and so does the first object of a bucket.
"""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from bucketzip.embedded import EmbeddedS3
from bucketzip.s3.client import open_s3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.listing import S3Catalog
from bucketzip.s3.versions import Versions
from tests.bucket import Bucket, new_bucket
from tests.plan.planning import Planned


class Put(NamedTuple):
    etag: str
    version_id: str


class Corner:
    """A folder of a bucket, as if it were the whole of one."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self.client = bucket.client
        self.bucket = bucket.name
        self.folder = folder
        self._put_many = bucket.put_many

    def url(self, path: str = "") -> str:
        return f"s3://{self.bucket}/{self.folder}{path}"

    async def fill(self, *keys: str) -> None:
        """Put objects whose content is their key; one that ends with a slash is a folder's marker."""
        await self._put_many({self.folder + key: b"" if key.endswith("/") else key.encode() for key in keys})

    async def put(self, key: str, data: bytes, **more: Any) -> Put:
        answer = await self.client.put_object(Bucket=self.bucket, Key=self.folder + key, Body=data, **more)
        return Put(answer["ETag"], answer.get("VersionId", ""))

    async def version(self) -> None:
        """Keep the versions of all objects from now on."""
        await self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def keys(self, planned: Planned) -> dict[str, str]:
        """Return which key is behind each name of an object in the archive."""
        return {name: key.removeprefix(self.folder) for name, key in planned.keys.items()}


@pytest.fixture(scope="module")
def _s3_environment(s3_server: EmbeddedS3) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("AWS_"):
                patch.delenv(name)
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def catalog(_s3_environment: None) -> AsyncIterator[S3Catalog]:
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=16) as s3:
        yield S3Catalog(s3, keeper, Versions(s3, wanted=False))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bucket(s3_server: EmbeddedS3) -> AsyncIterator[Bucket]:
    async with new_bucket(s3_server) as bucket:
        yield bucket


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
def corner(shared_bucket: Bucket, numbers: Iterator[int]) -> Corner:
    return Corner(shared_bucket, f"corner {next(numbers)}/")


@pytest_asyncio.fixture(loop_scope="module")
async def own_bucket(s3_server: EmbeddedS3) -> AsyncIterator[Corner]:
    """A bucket of its own, for what is about whole buckets."""
    async with new_bucket(s3_server) as bucket:
        yield Corner(bucket, "")
