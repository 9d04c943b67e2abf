"""Keys from the real places of botocore's chain: found, kept fresh, kept when renewal fails, renewed once for all."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bucketzip.errors import CredentialsExpired, NoCredentials
from bucketzip.s3 import credentials
from bucketzip.s3.client import open_s3
from bucketzip.s3.credentials import CredentialKeeper
from tests.faults import lies
from tests.faults.honest_s3 import Asked, error
from tests.faults.http_reply import Reply
from tests.faults.imds import InstanceMetadata
from tests.faults.lying_s3 import Lie, LyingS3, anything, gets
from tests.s3.reading import eventually, left_behind, of_stub, reading, stubbed


def set_all(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RENEW_PAUSE_SECONDS", 0.05)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, no_pause: None) -> None:
    monkeypatch.setattr(credentials, "REFRESH_SECONDS", 0.05)


class Source:
    """A `credential_process` that prints a file, or fails while there is none."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = directory / "keys.json"
        self._number = 0
        (directory / "config").write_text(f"[default]\ncredential_process = /bin/cat {self.file}\n")
        set_all(monkeypatch, AWS_CONFIG_FILE=str(directory / "config"))

    def give(self, lifetime: timedelta) -> str:
        """New keys, which end so soon; their access key."""
        self._number += 1
        expires = datetime.now(UTC) + lifetime
        self.give_text(
            json.dumps(
                {
                    "Version": 1,
                    "AccessKeyId": f"key{self._number}",
                    "SecretAccessKey": "secret",
                    "SessionToken": f"token{self._number}",
                    "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
                }
            )
        )
        return f"key{self._number}"

    def give_text(self, text: str) -> None:
        whole = self.file.with_suffix(".new")
        whole.write_text(text)
        whole.rename(self.file)

    def fail(self) -> None:
        self.file.unlink()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    return Source(tmp_path, monkeypatch)


@asynccontextmanager
async def instance(monkeypatch: pytest.MonkeyPatch, **more: Any) -> AsyncIterator[InstanceMetadata]:
    async with InstanceMetadata(**more) as imds:
        set_all(monkeypatch, **imds.environment())
        yield imds


# Finding


async def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="secret", AWS_SESSION_TOKEN="token")
    async with CredentialKeeper().running() as keeper:
        assert keeper.current() == ("AKIA", "secret", "token")
        assert keeper.method == "env"
    assert not left_behind()


async def test_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n"
        "[zip]\naws_access_key_id = AKIA\naws_secret_access_key = secret\n"
    )
    set_all(monkeypatch, AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"), AWS_PROFILE="zip")
    async with CredentialKeeper().running() as keeper:
        assert keeper.current() == ("AKIA", "secret", None)
        assert keeper.method == "shared-credentials-file"


async def test_instance_role(monkeypatch: pytest.MonkeyPatch) -> None:
    async with instance(monkeypatch) as imds, CredentialKeeper().running() as keeper:
        given = imds.credentials
        assert keeper.current() == (given.access_key, given.secret_key, given.token)
        assert keeper.method == "iam-role"
        assert imds.requests[imds.credentials_path] == 1


async def test_none_at_all() -> None:
    async with CredentialKeeper().running() as keeper:
        with pytest.raises(NoCredentials, match="Attach a role to the instance"):
            keeper.current()


async def test_half_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, AWS_ACCESS_KEY_ID="AKIA")
    async with CredentialKeeper().running() as keeper:
        with pytest.raises(NoCredentials, match="AWS_SECRET_ACCESS_KEY"):
            keeper.current()


async def test_an_instance_without_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    async with InstanceMetadata(role=None) as imds:
        set_all(monkeypatch, **imds.environment())
        async with CredentialKeeper().running() as keeper:
            with pytest.raises(NoCredentials, match="Attach a role"):
                keeper.current()


@pytest.mark.usefixtures("quick")
async def test_a_role_that_is_attached_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with instance(monkeypatch) as imds:
        imds.role = None
        async with CredentialKeeper().running() as keeper:
            with pytest.raises(NoCredentials):
                keeper.current()
            imds.role = "archive-role"

            def is_there() -> bool:
                try:
                    return bool(keeper.current())
                except NoCredentials:
                    return False

            await eventually(is_there)


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"Version": 2}', '{"Version": 1, "AccessKeyId": "key"}'])
async def test_a_source_that_talks_nonsense(source: Source, text: str) -> None:
    """An error with a reason, and no end of the server."""
    source.give_text(text)
    async with CredentialKeeper().running() as keeper:
        with pytest.raises(CredentialsExpired, match=r"AWS credentials could not be had: ."):
            keeper.current()


async def test_keys_that_had_expired_already(source: Source) -> None:
    source.give(timedelta(minutes=-5))
    async with CredentialKeeper().running() as keeper:
        with pytest.raises(CredentialsExpired, match="expired"):
            keeper.current()


async def test_expired_keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `aws configure export-credentials` had written them, some hours ago."""
    set_all(
        monkeypatch,
        AWS_ACCESS_KEY_ID="AKIA",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_SESSION_TOKEN="token",
        AWS_CREDENTIAL_EXPIRATION="2026-01-02T03:04:05+00:00",
    )
    async with CredentialKeeper().running() as keeper:
        with pytest.raises(CredentialsExpired, match="expired"):
            keeper.current()


# Keeping


@pytest.mark.usefixtures("quick")
async def test_refreshed_before_they_end(source: Source) -> None:
    old = source.give(timedelta(minutes=14))
    async with CredentialKeeper().running() as keeper:
        assert keeper.current().access_key == old
        assert 13 * 60 < keeper.expiry - time.time() <= 14 * 60
        new = source.give(timedelta(hours=6))
        await eventually(lambda: keeper.current().access_key == new)
        source.give(timedelta(hours=6))
        await asyncio.sleep(0.2)
        assert keeper.current().access_key == new  # it is not asked more often than it has to be


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("minutes", [14, 5])
async def test_a_failing_refresh_keeps_the_last_good_keys(
    source: Source, minutes: int, caplog: pytest.LogCaptureFixture
) -> None:
    old = source.give(timedelta(minutes=minutes))
    async with CredentialKeeper().running() as keeper:
        source.fail()
        await asyncio.sleep(0.2)
        assert keeper.current().access_key == old
        source.give_text("no JSON")
        await asyncio.sleep(0.2)
        assert keeper.current().access_key == old
        await keeper.renew()
        assert keeper.current().access_key == old
        assert "credentials could not be had" in caplog.text
        new = source.give(timedelta(hours=6))
        await eventually(lambda: keeper.current().access_key == new)


@pytest.mark.usefixtures("no_pause")
async def test_200_callers_make_one_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with instance(monkeypatch) as imds, CredentialKeeper().running() as keeper:
        old = keeper.current()
        fresh = imds.rotate()
        await asyncio.gather(*(keeper.renew(old) for _ in range(200)))
        assert keeper.current().token == fresh.token
        assert imds.requests[imds.credentials_path] == 2
        # Those whose answer came later were refused with keys that nobody uses any more.
        await asyncio.gather(*(keeper.renew(old) for _ in range(200)))
        assert imds.requests[imds.credentials_path] == 2
        await keeper.renew(keeper.current())
        assert imds.requests[imds.credentials_path] == 3


@pytest.mark.usefixtures("no_pause")
async def test_200_callers_make_one_renewal_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with instance(monkeypatch) as imds, CredentialKeeper().running() as keeper:
        old = keeper.current()
        imds.failing[imds.credentials_path] = 500
        await asyncio.gather(*(keeper.renew(old) for _ in range(200)))
        assert keeper.current() == old
        assert imds.requests[imds.credentials_path] <= 3
        del imds.failing[imds.credentials_path]
        imds.forget_tokens()
        fresh = imds.rotate()
        await keeper.renew(old)
        assert keeper.current().token == fresh.token


@pytest.mark.usefixtures("no_pause")
async def test_a_caller_that_leaves_takes_the_renewal_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with instance(monkeypatch) as imds, CredentialKeeper().running() as keeper:
        fresh = imds.rotate()
        first, second = (asyncio.create_task(keeper.renew()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert keeper.current().token == fresh.token
        assert imds.requests[imds.credentials_path] == 2


# Using


def only_with(imds: InstanceMetadata) -> Lie:
    """The store takes the keys that the instance gives now, and no others."""

    def check(asked: Asked, honest: Reply) -> Reply:
        good = asked.headers.get("x-amz-security-token") == imds.credentials.token
        assert f"Credential={imds.credentials.access_key}/" in asked.headers["Authorization"] or not good
        return honest if good else error(400, "ExpiredToken")

    return check


@pytest.mark.usefixtures("no_pause")
async def test_expired_during_reads() -> None:
    """One renewal, and every read succeeds."""
    async with InstanceMetadata() as imds, LyingS3({"key": b"data" * 1000}) as stub:
        stub.on(anything, only_with(imds))
        environment = {"AWS_ENDPOINT_URL_S3": stub.endpoint_url, "AWS_REGION": "us-east-1", **imds.environment()}
        async with reading(environment, connections=16, tries=1) as reader:
            thing = stubbed(stub, "key")
            await reader.start(thing).right()
            imds.rotate()
            stub.on(gets(), lies.slow_first_byte(0.5), skip=4, times=8)  # these hear of it when all is well again
            for read in [reader.start(thing, at) for at in range(200)]:
                await read.right()
            assert imds.requests[imds.credentials_path] == 2
            assert 1 <= reader.retries("credentials") <= 200
            # And what is not a ranged GET is signed with the same keys.
            listed = await reader.s3.client.list_objects_v2(Bucket="stub")
            assert listed["KeyCount"] == 1
            assert imds.requests[imds.credentials_path] == 2


# Region


async def region(monkeypatch: pytest.MonkeyPatch) -> str:
    async with LyingS3() as stub, CredentialKeeper().running() as keeper:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", of_stub(stub)["AWS_ENDPOINT_URL_S3"])
        async with open_s3(keeper, max_connections=1) as s3:
            return (await s3.route("stub")).region


async def test_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the more exact: AWS_REGION, AWS_DEFAULT_REGION, the profile, the instance; at last S3's oldest."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = ap-south-1\n")
    async with instance(monkeypatch, region="eu-west-3"):
        assert await region(monkeypatch) == "eu-west-3"
        set_all(monkeypatch, AWS_CONFIG_FILE=str(config))
        assert await region(monkeypatch) == "ap-south-1"
        set_all(monkeypatch, AWS_DEFAULT_REGION="sa-east-1")
        assert await region(monkeypatch) == "sa-east-1"
        set_all(monkeypatch, AWS_REGION="ca-west-1")
        assert await region(monkeypatch) == "ca-west-1"


async def test_no_region_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="secret")
    assert await region(monkeypatch) == "us-east-1"


async def test_instance_metadata_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="secret")
    async with instance(monkeypatch) as imds:
        imds.failing = {imds.token_path: 500, imds.zone_path: 500, f"{imds.zone_path}/": 500}
        assert await region(monkeypatch) == "us-east-1"
