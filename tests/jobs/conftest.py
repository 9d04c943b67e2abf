"""A server that writes archives into the bucket of a stub that lies."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bucketzip.jobs import patience
from tests.faults.lying_s3 import LyingS3
from tests.jobs.archiving import Client
from tests.web.serving import serving, stub_environment


@pytest.fixture
def _no_back_off(no_back_off: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor that of jobs, which is up to 30 s."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_SECONDS", 0.2)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


Starts = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def start(stub: LyingS3, monkeypatch: pytest.MonkeyPatch) -> Starts:
    """Start a server with a state directory, for as long as the context lasts."""

    @asynccontextmanager
    async def starts(state: Path, **settings: Any) -> AsyncIterator[Client]:
        environment = stub_environment(stub.endpoint_url)
        async with serving(environment, state, monkeypatch, s3_slow_down_seconds=0, s3_tries=2, **settings) as server:
            yield Client(server.client, server.base)

    return starts


@pytest.fixture
async def client(state: Path, start: Starts, _no_back_off: None) -> AsyncIterator[Client]:
    async with start(state) as started:
        yield started
