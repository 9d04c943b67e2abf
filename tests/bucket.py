"""A fresh bucket on a real S3 server, with the few calls a test needs to fill it."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError
from types_aiobotocore_s3.client import S3Client

from tests.servers.s3_server import S3Server

AT_ONCE = 32
CONFIG = AioConfig(
    s3={"addressing_style": "path"},
    max_pool_connections=AT_ONCE,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class Bucket:
    def __init__(self, client: S3Client, name: str) -> None:
        self.client = client
        self.name = name

    def url(self, prefix: str = "") -> str:
        return f"s3://{self.name}/{prefix}"

    async def put(self, key: str, data: bytes, **more: Any) -> None:
        """`more` goes to PutObject as it is: `ContentType=`, `Metadata=`, `ChecksumAlgorithm=`."""
        await self.client.put_object(Bucket=self.name, Key=key, Body=data, **more)

    async def put_many(self, objects: Mapping[str, bytes]) -> None:
        todo = iter(objects.items())

        async def put_next(count: int | None) -> None:
            for key, data in itertools.islice(todo, count):
                await self.put(key, data)

        # Alone: the first write to a bucket makes its volume. 32 of them at once make many, and take 0.8 s longer.
        await put_next(1)
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(put_next(None))

    async def delete(self, key: str) -> None:
        await self.client.delete_object(Bucket=self.name, Key=key)


@cache
def session() -> AioSession:
    """One for the whole run: it keeps the parsed service model, which costs 50 ms a client otherwise."""
    return AioSession()


def connect(server: S3Server, *, port: int | None = None) -> AbstractAsyncContextManager[S3Client]:
    """Open a client of the server; with `port`, by way of a proxy that listens there."""
    endpoint = urlsplit(server.endpoint_url)
    return session().create_client(
        "s3",
        endpoint_url=f"{endpoint.scheme}://{endpoint.hostname}:{port or endpoint.port}",
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        # By http there is nothing to verify, and the authorities of the world take 50 ms to read.
        verify=str(server.ca_file) if server.ca_file else False,
        config=CONFIG,
    )


@asynccontextmanager
async def new_bucket(server: S3Server) -> AsyncIterator[Bucket]:
    async with connect(server) as client:
        bucket = Bucket(client, f"test-{uuid.uuid4().hex}")
        await client.create_bucket(Bucket=bucket.name)
        yield bucket
        # SeaweedFS deletes what is in it too. Left alone, each bucket would hold a volume until the run ends. Others
        # refuse, and forget it when they end.
        try:
            await client.delete_bucket(Bucket=bucket.name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketNotEmpty":
                raise
