"""Roles that are assumed for a request, at an STS that gives keys which work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.s3 import credentials
from tests.bucket import Bucket
from tests.faults.sts import STS
from tests.identities import Identity, new_identity
from tests.jobs.archiving import Client
from tests.web.serving import Server, serving

ROLE = "arn:aws:iam::111122223333:role/handover"
OTHER = "arn:aws:iam::111122223333:role/other"


@pytest.fixture
async def user(s3_server: EmbeddedS3, bucket: Bucket) -> AsyncIterator[Identity]:
    """Whose keys STS gives; nobody else may use the test's bucket but the administrator."""
    await bucket.put("in/a.txt", b"the content")
    async with new_identity(s3_server, bucket.name) as identity:
        yield identity


@pytest.fixture
async def own(s3_server: EmbeddedS3) -> AsyncIterator[Identity]:
    """Who the server is: it may not use the test's bucket."""
    async with new_identity(s3_server, s3_server.bucket) as identity:
        yield identity


@pytest.fixture
async def sts(user: Identity, own: Identity) -> AsyncIterator[STS]:
    async with STS(own.keys.access_key, {ROLE: "customer-42", OTHER: None}, lambda: user.keys) as running:
        yield running


@pytest.fixture
async def server(
    s3_server: EmbeddedS3, own: Identity, sts: STS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    async with _serving(s3_server, own, sts, tmp_path, monkeypatch) as running:
        yield running


@asynccontextmanager
async def _serving(
    s3_server: EmbeddedS3, own: Identity, sts: STS, state: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    environment = s3_server.environment() | {
        "AWS_ACCESS_KEY_ID": own.keys.access_key,
        "AWS_SECRET_ACCESS_KEY": own.keys.secret_key,
        "AWS_ENDPOINT_URL_STS": sts.endpoint_url,
    }
    async with serving(environment, state, monkeypatch) as running:
        yield running


async def test_a_role_reads_and_writes_what_the_server_may_not(server: Server, bucket: Bucket, sts: STS) -> None:
    status, told = await server.ask(bucket.url("in/"))
    assert (status, told["error"]) == (403, "access_denied"), told
    given = {"role_arn": ROLE, "external_id": "customer-42"}
    assert await server.zip(bucket.url("in/"), credentials=given)
    job = await Client(server.client, server.base).archived(
        bucket.url("in/"), destination=bucket.url("out/a.zip"), credentials=given
    )
    assert job["result"]["entries"] == 1
    (asked,) = sts.asked  # once for all of it
    assert (asked["RoleSessionName"], asked["DurationSeconds"]) == ("bucketzip", "3600")
    assert await server.zip(bucket.url("in/"), credentials={"role_arn": OTHER})
    assert "ExternalId" not in sts.asked[-1]


@pytest.mark.parametrize(
    "given",
    [
        {"role_arn": ROLE},
        {"role_arn": ROLE, "external_id": "customer-43"},
        {"role_arn": ROLE + "-of-nobody", "external_id": "customer-42"},
    ],
)
async def test_a_role_that_may_not_be_assumed_is_an_error_at_once(
    server: Server, bucket: Bucket, given: dict[str, str]
) -> None:
    status, told = await server.ask(bucket.url("in/"), credentials=given)
    assert (status, told["error"]) == (403, "role_refused")
    assert given["role_arn"] in told["detail"]
    assert "allow sts:AssumeRole" in told["detail"]
    client = Client(server.client, server.base)
    job = await client.failed(bucket.url("in/"), destination=bucket.url("out/a.zip"), credentials=given)
    assert job["error"]["code"] == "role_refused"


async def test_what_the_role_may_not_do_is_said_of_the_role(server: Server, s3_server: EmbeddedS3) -> None:
    status, told = await server.ask(f"s3://{s3_server.bucket}/", credentials={"role_arn": OTHER})
    assert (status, told["error"]) == (403, "access_denied")
    assert f"S3 says to the role {OTHER}: AccessDenied" in told["detail"]


async def test_a_role_is_assumed_again_before_its_keys_run_out(
    server: Server, bucket: Bucket, sts: STS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "REFRESH_SECONDS", 0.05)
    sts.valid_seconds = 600  # within botocore's lead, so that each look is a renewal
    url = await server.link(bucket.url("in/"), credentials={"role_arn": OTHER})
    assert await server.fetch(url)
    before = len(sts.asked)
    while len(sts.asked) < before + 3:
        assert await server.fetch(url)
