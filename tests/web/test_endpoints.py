"""Endpoints that come with keys: refused by default, kept away from this machine, and believed by nobody else."""

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, anything
from tests.jobs.archiving import Client
from tests.web.serving import serving, stub_environment

pytestmark = pytest.mark.usefixtures("no_back_off")

MIB = 1 << 20
LARGE = 9 * MIB


@pytest.fixture
async def own() -> AsyncIterator[LyingS3]:
    """The S3 of the server."""
    async with LyingS3() as running:
        yield running


@pytest.fixture
async def theirs() -> AsyncIterator[LyingS3]:
    """The one that comes with the keys."""
    async with LyingS3() as running:
        yield running


def keys(endpoint: str) -> dict[str, str]:
    return {"access_key_id": "AKIA", "secret_access_key": "s", "endpoint": endpoint}


async def test_an_endpoint_is_refused_unless_it_is_allowed(
    own: LyingS3, theirs: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(stub_environment(own.endpoint_url), tmp_path, monkeypatch) as server:
        status, told = await server.ask("s3://stub/", credentials=keys(theirs.endpoint_url))
        assert (status, told["error"]) == (400, "invalid_request")
        assert "BUCKETZIP_ALLOW_ENDPOINTS" in told["detail"]
        wanted: dict[str, Any] = {
            "sources": ["s3://stub/"],
            "destination": "s3://stub/a.zip",
            "credentials": keys(theirs.endpoint_url),
        }
        async with server.client.post(f"{server.base}/archives", json=wanted) as answer:
            assert answer.status == 400
    assert theirs.requests == []


async def test_one_that_is_allowed_is_read_and_written(
    own: LyingS3, theirs: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs.objects.put("in/a", b"theirs")
    environment = stub_environment(own.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, allow_endpoints="s3.example.com, 127.0.0.1") as server:
        assert await server.zip("s3://stub/in/", credentials=keys(theirs.endpoint_url))
        client = Client(server.client, server.base)
        await client.archived("s3://stub/in/", credentials=keys(theirs.endpoint_url))
    assert own.requests == []


async def test_a_name_that_leads_to_this_machine_is_not_followed(
    own: LyingS3, theirs: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it led to when it was allowed: what counts is the address that is about to be connected to."""
    environment = stub_environment(own.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, allow_endpoints="localhost") as server:
        status, told = await server.ask("s3://stub/", credentials=keys(f"http://localhost:{theirs.port}"))
    assert (status, told["error"]) == (504, "s3_unreachable")
    assert theirs.requests == []


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_a_redirection_is_not_followed(
    own: LyingS3, theirs: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async with LyingS3() as elsewhere:
        theirs.on(anything, lies.refuse(status, "TemporaryRedirect"))
        theirs.on(anything, lies.header("Location", f"{elsewhere.endpoint_url}/stub?list-type=2"))
        theirs.on(anything, lies.header("x-amz-bucket-region", "eu-west-1"))
        environment = stub_environment(own.endpoint_url)
        async with serving(environment, tmp_path, monkeypatch, allow_endpoints="127.0.0.1") as server:
            told, _ = await server.ask("s3://stub/", credentials=keys(theirs.endpoint_url))
        assert told >= 400
        assert theirs.requests
        assert elsewhere.requests == own.requests == []


async def test_what_an_endpoint_says_of_an_object_is_believed_of_no_other(
    own: LyingS3, theirs: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bucket, key, ETag, size and time; another content, with its CRC stored and learned."""
    own.objects.put("in/stored", Synthetic(LARGE, 1), etag='"same"')
    theirs.objects.put("in/stored", Synthetic(LARGE, 2), etag='"same"', crc="full")
    for stub, seed in ((own, 3), (theirs, 4)):
        stub.objects.put("in/learned", Synthetic(LARGE, seed), etag='"also"')
    environment = stub_environment(own.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, allow_endpoints="127.0.0.1") as server:
        client = Client(server.client, server.base)
        await server.zip("s3://stub/in/", credentials=keys(theirs.endpoint_url))
        await client.archived("s3://stub/in/", credentials=keys(theirs.endpoint_url))
        archive = await server.zip("s3://stub/in/")
        job = await client.archived("s3://stub/in/")
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        for name, seed in (("stored", 1), ("learned", 3)):
            same = opened.read(name) == Synthetic(LARGE, seed).read(0, LARGE)
            assert same
    assert job["result"]["entries"] == 2
