"""Requests that bring credentials: what is done for them is done with those, and nothing is left of them."""

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket
from tests.identities import Identity, new_identity
from tests.jobs.archiving import Client
from tests.web.serving import Server, serving


@pytest.fixture
async def user(s3_server: EmbeddedS3, bucket: Bucket) -> AsyncIterator[Identity]:
    """Who may use the test's bucket."""
    await bucket.put_many({"in/a.txt": b"the content", "in/large": bytes(6 << 20)})
    async with new_identity(s3_server, bucket.name) as identity:
        yield identity


@pytest.fixture
async def server(s3_server: EmbeddedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """One without credentials of its own."""
    environment = without_keys(s3_server)
    async with serving(environment, tmp_path / "state", monkeypatch) as running:
        yield running


def without_keys(s3_server: EmbeddedS3) -> dict[str, str]:
    return {name: value for name, value in s3_server.environment().items() if "KEY" not in name}


def names(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return opened.namelist()


async def test_a_download_is_read_with_the_callers_keys(server: Server, bucket: Bucket, user: Identity) -> None:
    status, refused = await server.ask(bucket.url("in/"))
    assert (status, refused["error"]) == (503, "no_credentials")
    assert names(await server.zip(bucket.url("in/"), credentials=user.keys.as_request())) == ["a.txt", "large"]


async def test_an_archive_is_written_with_the_callers_keys(server: Server, bucket: Bucket, user: Identity) -> None:
    client = Client(server.client, server.base)
    job = await client.archived(
        bucket.url("in/"), destination=bucket.url("out/a.zip"), credentials=user.keys.as_request()
    )
    assert job["result"]["entries"] == 2


@pytest.mark.parametrize("source", ["in/", "in/a.txt", "in/a*"])
async def test_keys_that_s3_refuses_are_said_to_be_the_callers(
    server: Server, bucket: Bucket, user: Identity, source: str
) -> None:
    wrong: list[dict[str, Any]] = [
        user.keys.as_request() | {"secret_access_key": "ofAnother"},
        user.keys.as_request() | {"access_key_id": "AKIAOFNOBODY"},
    ]
    for keys in wrong:
        status, told = await server.ask(bucket.url(source), credentials=keys)
        assert (status, told["error"]) == (403, "keys_refused"), told
        assert "the keys that came with the request" in told["detail"]
        assert "this server" not in told["detail"]


async def test_what_the_callers_keys_may_not_do_is_said_of_them(
    server: Server, s3_server: EmbeddedS3, user: Identity
) -> None:
    status, told = await server.ask(f"s3://{s3_server.bucket}/", credentials=user.keys.as_request())
    assert (status, told["error"]) == (403, "access_denied"), told
    assert "the keys that came with the request" in told["detail"]
