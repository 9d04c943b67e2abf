"""`bucketzip doctor` on a real S3, and on one that refuses one call after the other."""

import asyncio
import json
import os
import pty
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket, connect, new_bucket
from tests.command import Caller, installed
from tests.faults import lies
from tests.faults.content import Content, Synthetic
from tests.faults.in_thread import in_thread
from tests.faults.lying_s3 import Lie, LyingS3, anything, does, heads
from tests.faults.sts import STS
from tests.identities import Keys
from tests.web.serving import stub_environment

MIB = 1 << 20
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SOURCE, DESTINATION = "s3://stub/in/", "s3://stub/out/"
SCRATCH_WRITING = {"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    monkeypatch.chdir(tmp_path)
    yield Caller(capsys)
    assert not list(tmp_path.iterdir()), "not even a state directory is made"


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> Iterator[LyingS3]:
    objects: dict[str, bytes | Content] = {"in/large.bin": Synthetic(9 * MIB, 1), "in/small.txt": b"small"}
    with in_thread(LyingS3(objects)) as stub:
        for name, value in stub_environment(stub.endpoint_url).items():
            monkeypatch.setenv(name, value)
        yield stub
        assert not [each for each in stub.uploads_left if "somebody" not in each.key], "all are aborted"
        assert not stub.counts["PutObject"]
        assert not stub.counts["CompleteMultipartUpload"]


@pytest.fixture
async def filled(s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bucket]:
    """A bucket on the S3 of the environment."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    async with new_bucket(s3_server) as bucket:
        await bucket.put_many({"in/large.bin": os.urandom(6 * MIB), "in/small.txt": b"small"})
        yield bucket


class Told(NamedTuple):
    """The report, read."""

    status: int
    outcome: str
    checks: dict[tuple[str, str | None], dict[str, Any]]
    policy: dict[str, Any] | None

    def check(self, name: str) -> dict[str, Any]:
        (found,) = (check for (each, _), check in self.checks.items() if each == name)
        return found

    @property
    def outcomes(self) -> dict[str, str]:
        return {name: check["outcome"] for (name, _), check in self.checks.items()}


def told(call: Caller, *arguments: str) -> Told:
    status, out, said = call("doctor", *arguments, "--json")
    assert said == ""
    report = json.loads(out)
    checks = {(each["name"], each["about"]): each for each in report["checks"]}
    return Told(status, report["outcome"], checks, report["policy"])


def test_all_is_well_on_a_real_s3(call: Caller, filled: Bucket) -> None:
    report = told(call, filled.url("in/"), "--destination", filled.url("out/"))
    assert report.status == 0
    assert report.policy is None
    expected = dict.fromkeys(report.outcomes, "ok") | {"principal": "unknown", "lifecycle": "warning"}
    assert report.outcomes == expected, "nobody has made a lifecycle rule"
    assert set(expected) >= {"clock", "keys", "bucket", "path", "list", "get", "versions", "speed", "copies", "put"}
    speed = report.check("speed")
    assert speed["facts"]["bytes"] == 6 * MIB + 5
    assert speed["facts"]["mib_per_second"] > 0
    assert report.check("credentials")["facts"]["source"] == "env"


def test_lines_for_people(call: Caller, filled: Bucket, s3_server: EmbeddedS3) -> None:
    status, out, said = call("doctor", filled.url("in/"))
    assert (status, said) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "this machine"
    assert filled.url("in/") in lines
    assert "  ok       get                " in out
    assert "\x1b" not in out, "in a pipe there are no colours"
    assert lines[-1].endswith(" ok, 1 warning, 1 unknown")
    assert s3_server.secret_key not in out
    assert s3_server.access_key not in out


def test_quiet_tells_only_what_is_not_well(call: Caller, filled: Bucket) -> None:
    _, out, _ = call("doctor", filled.url("in/"), "--quiet")
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("  ") and "->" not in line] == [
        ["warning", "lifecycle"]
    ]
    _, out, _ = call("doctor", "--quiet")
    assert out == "6 ok, 1 unknown\n"


def test_many_warnings_are_counted_as_people_do(call: Caller, filled: Bucket) -> None:
    _, out, _ = call("doctor", filled.url("in/"), "--destination", filled.url("out/"))
    assert out.splitlines()[-1].endswith(" ok, 2 warnings, 1 unknown")


async def _rule(bucket: Bucket, prefix: str) -> None:
    rule = {
        "ID": "unfinished",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    await bucket.client.put_bucket_lifecycle_configuration(
        Bucket=bucket.name,
        LifecycleConfiguration={"Rules": [rule]},  # type: ignore[list-item]  # as the stubs have it, literally
    )


def test_without_a_bucket_it_looks_at_this_machine(call: Caller, lying: LyingS3) -> None:
    report = told(call)
    assert report.status == 0
    assert list(report.outcomes) == [
        *("state-dir", "open-files", "credentials", "principal", "endpoint", "clock", "keys")
    ]
    assert all(about is None for _, about in report.checks)


@pytest.mark.parametrize(
    ("operation", "check", "outcome", "actions"),
    [
        ("ListObjectsV2", "list", "failed", {"s3:ListBucket"}),
        ("GetObject", "get", "failed", {"s3:GetObject"}),
        ("GetBucketVersioning", "versions", "unknown", {"s3:GetBucketVersioning"}),
        ("GetObjectAttributes", "part-checksums", "warning", {"s3:GetObjectAttributes"}),
        ("UploadPartCopy", "copies", "warning", SCRATCH_WRITING | {"s3:ListBucketMultipartUploads"}),
        ("UploadPart", "put", "failed", {"s3:PutObject"}),
        ("HeadObject", "look", "failed", {"s3:GetObject", "s3:ListBucket"}),
        ("GetBucketEncryption", "encryption", "unknown", set()),
        ("GetBucketLifecycleConfiguration", "lifecycle", "unknown", {"s3:GetLifecycleConfiguration"}),
        ("ListMultipartUploads", "unfinished-uploads", "warning", {"s3:ListBucketMultipartUploads"}),
    ],
)
def test_each_refusal_is_seen_by_itself(
    *, operation: str, check: str, outcome: str, actions: set[str], call: Caller, lying: LyingS3
) -> None:
    lying.on(does(operation), lies.access_denied())
    report = told(call, SOURCE, "--destination", DESTINATION)
    assert report.status == (outcome == "failed")
    found = [each for (name, _), each in report.checks.items() if name == check]
    assert {each["outcome"] for each in found} == {outcome}
    assert {grant["action"] for each in found for grant in each["missing"]} == actions
    others = {name for name, each in report.outcomes.items() if each == "failed"} - {check}
    assert not others
    statements = report.policy["Statement"] if report.policy else []
    assert {action for each in statements for action in each["Action"]} >= actions
    assert not any(
        "*" in {action, resource} for each in statements for action in each["Action"] for resource in each["Resource"]
    )
    wanted = "Optional" if outcome != "failed" else "Needed"
    assert not statements or any(each["Sid"].startswith(wanted) for each in statements)


def test_versions_that_may_not_be_listed(call: Caller, lying: LyingS3) -> None:
    lying.versioned = True
    lying.on(does("ListObjectVersions"), lies.access_denied())
    found = told(call, SOURCE).check("versions")
    assert found["outcome"] == "warning"
    assert {grant["action"] for grant in found["missing"]} == {"s3:ListBucketVersions", "s3:GetObjectVersion"}


def test_an_upload_that_cannot_be_begun_takes_every_permission_to_write(call: Caller, lying: LyingS3) -> None:
    lying.on(does("CreateMultipartUpload"), lies.access_denied())
    report = told(call, "--destination", DESTINATION)
    assert report.status == 1
    assert report.policy is not None
    assert report.policy["Statement"] == [
        {
            "Sid": "Needed1",
            "Effect": "Allow",
            "Action": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::stub/out/*"],
        }
    ]


def test_an_upload_that_cannot_be_aborted_is_named(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_thread(LyingS3()) as stub:
        for name, value in stub_environment(stub.endpoint_url).items():
            monkeypatch.setenv(name, value)
        stub.on(does("AbortMultipartUpload"), lies.access_denied())
        report = told(call, "--destination", "s3://stub/out/")
        (left,) = stub.uploads_left
    assert report.status == 1
    assert f"--key {left.key} --upload-id {left.upload_id}" in report.check("put")["todo"]
    assert {grant["action"] for grant in report.check("put")["missing"]} == {"s3:AbortMultipartUpload"}


def of_kms(action: str) -> Lie:
    said = f"User: u is not authorized to perform: {action} on resource: {KEY} because no identity-based policy allows"
    return lies.refuse(403, "AccessDenied", said)


def test_a_key_of_kms_that_refuses_is_told_from_a_plain_refusal(call: Caller, lying: LyingS3) -> None:
    lying.on(does("GetObject"), of_kms("kms:Decrypt"))
    lying.on(does("CreateMultipartUpload"), of_kms("kms:GenerateDataKey"))
    report = told(call, SOURCE, "--destination", DESTINATION)
    for check in ("get", "put"):
        assert report.check(check)["said"].startswith("the key of KMS refuses: ")
    assert report.policy is not None
    assert [(each["Action"], each["Resource"]) for each in report.policy["Statement"]] == [
        (["kms:Decrypt", "kms:GenerateDataKey"], [KEY])
    ]


def test_so_is_one_that_s3_does_not_blame(call: Caller, lying: LyingS3) -> None:
    """Some say no more than that access is denied: then the object's head tells its key."""
    lying.on(does("GetObject"), lies.access_denied())
    lying.on(heads(), lies.header("x-amz-server-side-encryption-aws-kms-key-id", KEY))
    (grant,) = told(call, SOURCE).check("get")["missing"]
    assert (grant["action"], grant["resource"]) == ("kms:Decrypt", KEY)


@pytest.mark.parametrize(("minutes", "outcome"), [(-5, "warning"), (5, "warning"), (-20, "failed"), (0, "ok")])
def test_a_clock_that_is_wrong(minutes: int, outcome: str, call: Caller, lying: LyingS3) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    lying.on(anything, lies.header("Date", date))
    report = told(call, SOURCE)
    assert report.outcomes["clock"] == outcome
    assert report.status == (outcome == "failed")
    assert ("not tried" in report.check("bucket")["said"]) == (outcome == "failed")


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"])
def test_keys_that_s3_does_not_take(code: str, call: Caller, lying: LyingS3) -> None:
    lying.on(anything, lies.refuse(403, code))
    report = told(call, SOURCE)
    assert report.status == 1
    assert [name for name, outcome in report.outcomes.items() if outcome == "failed"] == ["keys"]
    assert report.policy is None, "no permission helps"


def test_a_bucket_in_another_region_is_far(call: Caller, lying: LyingS3) -> None:
    found = told(call, SOURCE, "--region", "eu-west-1").check("bucket")
    assert (found["outcome"], found["facts"]["region"]) == ("warning", "us-east-1")
    assert found["said"] == "it is in us-east-1, this machine in eu-west-1"


def test_a_bucket_that_is_not_there(call: Caller, lying: LyingS3) -> None:
    status, out, _ = call("doctor", "s3://stob/in/")
    assert status == 1
    assert "  failed   bucket             there is no bucket stob\n" in out
    assert out.splitlines()[-1].endswith(" not tried")


def test_uploads_that_somebody_forgot(call: Caller, lying: LyingS3) -> None:
    for age in (timedelta(days=3), timedelta(days=2), timedelta(hours=1)):
        upload = lying.begin_upload(f"out/somebody-{age.days}.zip")
        upload.initiated = datetime.now(UTC) - age
    report = told(call, "--destination", DESTINATION)
    found = report.check("unfinished-uploads")
    assert (found["outcome"], found["facts"]) == ("warning", {"uploads": 2, "bytes": 0})
    assert "abort-multipart-upload --bucket stub --key 'out/somebody-" in found["todo"]
    assert report.status == 0


def test_a_lifecycle_rule_counts_where_it_covers_the_folder(
    call: Caller, s3_server: EmbeddedS3, filled: Bucket
) -> None:
    async def rule(prefix: str) -> None:
        async with connect(s3_server) as client:
            await _rule(Bucket(client, filled.name), prefix)

    for prefix, outcome in (("out/", "ok"), ("elsewhere/", "warning")):
        asyncio.run(rule(prefix))
        found = told(call, "--destination", filled.url("out/")).check("lifecycle")
        assert found["outcome"] == outcome, found
        assert found["facts"] == ({"days": 7} if outcome == "ok" else {})


def test_an_object_in_the_way(call: Caller, lying: LyingS3) -> None:
    found = told(call, "--destination", "s3://stub/in/small.txt").check("look")
    assert (found["outcome"], "--if-exists" in found["todo"]) == ("warning", True)


def test_nothing_to_try_it_with_is_no_failure(call: Caller, lying: LyingS3) -> None:
    report = told(call, "s3://stub/nothing/")
    assert report.status == 0
    assert report.check("list")["said"] == "it may be listed, and nothing is there"
    assert report.check("get")["outcome"] == "unknown"


def test_an_endpoint_that_is_not_there(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    for endpoint, why in (
        ("http://127.0.0.1:1", "no connection to 127.0.0.1 port 1: Connection refused"),
        ("http://nowhere.invalid", "its name is not known here"),
    ):
        report = told(call, SOURCE, "--endpoint", endpoint)
        assert report.status == 1
        assert why in report.check("endpoint")["said"]
        assert report.outcomes["state-dir"] == "ok", "it hides nothing"


def test_a_certificate_that_is_not_trusted(
    call: Caller, tls_s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in tls_s3_server.environment().items():
        monkeypatch.setenv(name, value)
    assert told(call).outcomes["endpoint"] == "ok"
    monkeypatch.delenv("AWS_CA_BUNDLE")
    said = told(call).check("endpoint")["said"]
    assert "certificate verify failed" in said
    assert "AWS_CA_BUNDLE" in said


def test_whose_the_keys_are_where_there_is_an_sts(
    call: Caller, lying: LyingS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give() -> Keys:
        raise AssertionError("nobody assumes a role")

    with in_thread(STS("stub", {}, give)) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint_url)
        assert told(call).check("principal")["facts"] == {"arn": "arn:aws:iam::111122223333:user/stub"}
        sts.signer = "somebody else"
        assert told(call).outcomes["principal"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("photos",), "a source is written s3://bucket/key, not 'photos'"),
        (("--destination", "out/a.zip"), "a source is written s3://bucket/key"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], why: str, call: Caller) -> None:
    status, out, said = call("doctor", *arguments)
    assert (status, out) == (2, "")
    assert said.startswith(f"bucketzip: {why}"), said


async def test_ctrl_c_leaves_no_upload(tmp_path: Path, stub: LyingS3) -> None:
    """Pressed on a terminal, while an upload of its own is open."""
    stub.on(does("UploadPart"), lies.slow_first_byte(600))
    (tmp_path / "tmp").mkdir()
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    arguments = ("doctor", "--destination", "s3://stub/out/")
    try:
        running = asyncio.create_task(
            installed(
                {**stub_environment(stub.endpoint_url), "TMPDIR": str(tmp_path / "tmp")},
                tmp_path,
                *arguments,
                start_new_session=True,
                preexec_fn=lambda: os.close(os.open(name, os.O_RDWR)),  # the first that a session opens is its own
            )
        )
        while not stub.counts["UploadPart"]:
            assert not running.done(), running.result()
            await asyncio.sleep(0.02)
        assert len(stub.uploads_left) == 1
        os.write(ours, b"\x03")
        done = await running
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.status == 128 + signal.SIGINT
    assert "Traceback" not in done.said
    assert not stub.uploads_left
    assert not list((tmp_path / "tmp").iterdir())
