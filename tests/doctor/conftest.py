"""A bucket whose route a test needs, without an S3."""

from typing import cast

import pytest

from bucketzip.doctor.ports import Bucket


class _Routed:
    name = "photos"

    async def host(self) -> str:
        return "photos.s3.eu-west-1.amazonaws.com"


@pytest.fixture
def routed() -> Bucket:
    """It answers that question and no other."""
    return cast("Bucket", _Routed())
