"""Objects that are read whole, with botocore's own client: they are few, and small."""

import asyncio

from bucketzip.errors import OverLimit, S3Unreachable
from bucketzip.s3.client import READ_TIMEOUT_SECONDS, S3, refuse_unsupported
from bucketzip.s3.errors import crossing

CHUNK_BYTES = 64 << 10


class S3SmallObjects:
    """Implements `plan.small_objects.SmallObjects`."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3

    async def read(self, bucket: str, key: str, *, most_bytes: int) -> bytes:
        """By the port. A body that takes longer than one answer may is given up."""
        refuse_unsupported(bucket)
        url = f"s3://{bucket}/{key}"
        with crossing(url):
            try:
                async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                    content = await self._read(bucket, key, most_bytes + 1)
            except TimeoutError as error:
                raise S3Unreachable(f"{url}: it took longer than {READ_TIMEOUT_SECONDS:g} s to read") from error
        if len(content) > most_bytes:
            raise OverLimit(f"{url} has more than {most_bytes:,} bytes")
        return bytes(content)

    async def _read(self, bucket: str, key: str, most_bytes: int) -> bytearray:
        answer = await self._s3.client.get_object(Bucket=bucket, Key=key)
        content = bytearray()
        async with answer["Body"] as body:
            while len(content) < most_bytes and (chunk := await body.read(CHUNK_BYTES)):
                content += chunk
        return content
