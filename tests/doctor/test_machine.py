"""What is told of this machine: its state directory, its files, its place in the network, its credentials."""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bucketzip.commands.instance_metadata import Instance
from bucketzip.doctor.examine import examine
from bucketzip.doctor.finding import Finding, Outcome
from bucketzip.doctor.identity import identity_checks
from bucketzip.doctor.looked import Looked
from bucketzip.doctor.machine import machine_checks, state_dir_finding
from bucketzip.doctor.policy import Arns
from bucketzip.doctor.reaching import endpoint_check, path_check
from bucketzip.errors import NoCredentials, S3Error
from tests.doctor.standing_in import Elsewhere, named
from tests.faults.imds import InstanceMetadata

PUBLIC, PRIVATE = "52.92.0.1", "10.0.7.9"


def test_a_state_directory_that_is_there(tmp_path: Path) -> None:
    finding = state_dir_finding(tmp_path)
    assert finding.outcome is Outcome.OK
    assert finding.said.startswith(f"{tmp_path}, ")
    assert finding.facts["free_bytes"] > 0


def test_one_that_is_to_be_made_is_not_made(tmp_path: Path) -> None:
    finding = state_dir_finding(tmp_path / "a" / "b")
    assert (finding.outcome, finding.said.endswith(", not made yet")) == (Outcome.OK, True)
    assert not (tmp_path / "a").exists()


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = state_dir_finding(tmp_path / "file" / "state")
    assert (finding.outcome, finding.said) == (Outcome.FAILED, f"{tmp_path / 'file'} is no directory")


def test_one_that_is_somebody_else_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root, who runs this perhaps, may write everywhere
    finding = state_dir_finding(tmp_path)
    assert finding.outcome is Outcome.FAILED
    assert "may not write to it" in finding.said


@contextmanager
def file_limit(files: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("files", "outcome"), [(200, Outcome.WARNING), (150, Outcome.FAILED), (1024, Outcome.OK)])
async def test_the_limit_of_open_files(files: int, outcome: Outcome, tmp_path: Path) -> None:
    open_files = machine_checks(tmp_path, 64)[1]
    with file_limit(files):
        finding = await open_files.look()
    assert finding.outcome is outcome
    assert finding.facts["files"] == files


async def test_content_in_the_clear_is_warned_of() -> None:
    for url, address, outcome in (
        ("http://minio.example.com", PRIVATE, Outcome.WARNING),
        ("http://localhost:9000", "127.0.0.1", Outcome.OK),
        ("https://minio.example.com", PRIVATE, Outcome.OK),
    ):
        finding = await endpoint_check(Elsewhere(address, url=url)).look()
        assert finding.outcome is outcome, url


class Ec2:
    """An instance that tells what a test has it tell."""

    def __init__(self, **told: str) -> None:
        self._told = told

    async def metadata(self, path: str) -> str | None:
        return self._told.get(path.replace("-", "_"))


@pytest.mark.parametrize(
    ("address", "instance", "outcome", "said"),
    [
        (PRIVATE, Ec2(), Outcome.OK, "by an interface endpoint of the VPC"),
        (PUBLIC, Ec2(), Outcome.UNKNOWN, "this machine is not in EC2"),
        (PUBLIC, Ec2(instance_id="i-1", public_ipv4="3.3.3.3"), Outcome.UNKNOWN, "Neither costs anything"),
        (PUBLIC, Ec2(instance_id="i-1"), Outcome.UNKNOWN, "by a gateway endpoint or a NAT gateway"),
    ],
)
async def test_what_lies_between_as_far_as_can_be_told(
    address: str, instance: Ec2, outcome: Outcome, said: str
) -> None:
    looked = Looked(named("photos"), "", Arns("aws"))
    finding = await path_check(looked, Elsewhere(address), instance, after=()).look()
    assert (finding.outcome, said in finding.said) == (outcome, True), finding.said
    assert ("describe-vpc-endpoints" in finding.todo) == ("NAT" in said), "a NAT costs by the GB"


async def test_the_metadata_service_is_asked_and_its_absence_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with InstanceMetadata() as imds:
        for name, value in imds.environment().items():
            monkeypatch.setenv(name, value)
        assert await Instance().metadata("instance-id") == "i-0123456789abcdef0"
        assert await Instance().metadata("public-ipv4") is None
    assert await Instance().metadata("instance-id") is None
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert await Instance().metadata("instance-id") is None


class Somebody:
    """Credentials that a test chooses."""

    def __init__(
        self, method: str, *, expire_at: float | None = None, arn: str = "", key_id: str = "AKIAEXAMPLE"
    ) -> None:
        self.method = method
        self.expire_at = expire_at
        self._arn = arn
        self._key_id = key_id

    def key_id(self) -> str:
        if not self._key_id:
            raise NoCredentials
        return self._key_id

    async def principal(self) -> str:
        if not self._arn:
            raise S3Error("no way to it")
        return self._arn


async def identified(who: Somebody, *, sts: bool = True) -> dict[str, Finding]:
    found = await examine(identity_checks(who, sts=sts), lambda *_: None)
    return {check.name: finding for check, finding in found}


async def test_where_credentials_come_from_and_how_long_they_last() -> None:
    arn = "arn:aws:sts::111122223333:assumed-role/archive-role/i-1"
    found = await identified(Somebody("iam-role", expire_at=time.time() + 3600, arn=arn))
    assert found["credentials"].said.startswith("from the role of this instance, access key ...MPLE, until 20")
    assert "AKIAEXAMPLE" not in str(found["credentials"])
    assert (found["principal"].outcome, found["principal"].said) == (Outcome.OK, arn)


async def test_credentials_that_nobody_renews() -> None:
    found = await identified(Somebody("iam-role", expire_at=time.time() + 60))
    assert found["credentials"].outcome is Outcome.WARNING
    assert found["principal"].outcome is Outcome.UNKNOWN, "STS is needed for nothing"


async def test_without_credentials_nothing_else_is_asked() -> None:
    found = await identified(Somebody("", key_id=""))
    assert found["credentials"].outcome is Outcome.FAILED
    assert found["principal"].untried


async def test_aws_is_told_nothing_of_the_keys_of_another_s3() -> None:
    found = await identified(Somebody("env", arn="arn:never:asked"), sts=False)
    assert found["principal"].said == "this S3 is not AWS's, so there is no STS to ask"
