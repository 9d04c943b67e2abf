"""A state of one's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketzip.state.database import Database, open_database
from tests.state.clock import Clock


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()
