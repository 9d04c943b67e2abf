"""A store that lies where it is told to."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.lying_s3 import LyingS3


@pytest.fixture
async def stub() -> AsyncIterator[LyingS3]:
    async with LyingS3() as running:
        yield running
