"""A catalog on any S3, wired as app.py does it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from bucketzip.s3.client import open_s3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.listing import S3Catalog
from bucketzip.s3.versions import Versions
from tests.s3.reading import left_behind


@asynccontextmanager
async def catalog_of(environment: Mapping[str, str], *, versions: bool = False) -> AsyncIterator[S3Catalog]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=64) as s3:
            yield S3Catalog(s3, keeper, Versions(s3, wanted=versions))
    assert not left_behind()
