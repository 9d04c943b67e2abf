"""One browser for the run, in whose loop its tests run, and the servers that it visits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from bucketzip.embedded import EmbeddedS3
from bucketzip.jobs import patience
from tests.browser.chromium import chromium
from tests.bucket import Bucket, new_bucket
from tests.faults.lying_s3 import LyingS3
from tests.web.serving import Server, serving, stub_environment


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def stub() -> AsyncIterator[LyingS3]:
    async with LyingS3() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def stub_server(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_back_off: None
) -> AsyncIterator[Server]:
    """One that knows nobody without a token, and whose S3 does as a test says."""
    monkeypatch.setattr(patience, "LONGEST_PAUSE_SECONDS", 0.2)
    environment = stub_environment(stub.endpoint_url)
    async with serving(
        environment, tmp_path / "state", monkeypatch, trusted_cidrs="", s3_tries=2, s3_slow_down_seconds=0
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def trusting_server(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """One that asks nobody for a token."""
    async with serving(stub_environment(stub.endpoint_url), tmp_path / "state", monkeypatch) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def bucket(s3_server: EmbeddedS3) -> AsyncIterator[Bucket]:
    async with new_bucket(s3_server) as bucket:
        yield bucket


@pytest_asyncio.fixture(loop_scope="session")
async def server(s3_server: EmbeddedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """The same in front of the run's SeaweedFS."""
    async with serving(s3_server.environment(), tmp_path / "state", monkeypatch, trusted_cidrs="") as running:
        yield running
