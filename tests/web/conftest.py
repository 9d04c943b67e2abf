"""A server on the run's SeaweedFS, and one on a stub that lies."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.state.database import open_database
from bucketzip.state.jobs import Jobs
from tests.faults.lying_s3 import LyingS3
from tests.web.serving import Server, serving, stub_environment


@pytest.fixture
async def server(s3_server: EmbeddedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    async with serving(s3_server.environment(), tmp_path / "state", monkeypatch) as running:
        yield running


@pytest.fixture
async def stub_server(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    async with serving(
        stub_environment(stub.endpoint_url),
        tmp_path / "state",
        monkeypatch,
        s3_tries=3,
        s3_slow_down_seconds=0,
        s3_stall_seconds=1,
        scratch="off",  # these tests are about reading; test_crcs.py is about the rest
    ) as running:
        yield running


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    (directory := tmp_path / "state").mkdir()
    return directory


@pytest.fixture
async def jobs(state_dir: Path) -> AsyncIterator[Jobs]:
    """Those of a server with this state, as another process sees and changes them."""
    async with open_database(state_dir) as database:
        yield Jobs(database)
