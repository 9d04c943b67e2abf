"""Somebody else's client of the lying store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiobotocore.config import AioConfig
from types_aiobotocore_s3.client import S3Client

from tests.bucket import session
from tests.faults.lying_s3 import LyingS3


@asynccontextmanager
async def client_of(stub: LyingS3, *, ca_file: Path | None = None) -> AsyncIterator[S3Client]:
    """Connect with one attempt a request, so that what the stub says is what the test sees."""
    async with session().create_client(
        "s3",
        endpoint_url=stub.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        verify=str(ca_file) if ca_file else None,
        config=AioConfig(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    ) as client:
        yield client
