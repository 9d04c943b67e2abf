"""`bucketzip ls`: what it lists is what `bucketzip zip` makes, to the byte."""

import asyncio
import json
import subprocess
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.plan.catalog import Listed, Pages
from bucketzip.plan.globs import EXCLUDED, NOT_INCLUDED
from bucketzip.plan.preview import Entry, preview
from bucketzip.plan.request import ZipRequest
from tests.bucket import Bucket, new_bucket
from tests.command import COMMAND, Caller
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.in_thread import in_thread
from tests.faults.lying_s3 import LyingS3, lists
from tests.plan.planning import Shelf, listed
from tests.web.serving import stub_environment

MIB = 1 << 20


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture
async def filled(s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bucket]:
    """A bucket on the S3 of the environment."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    async with new_bucket(s3_server) as bucket:
        await bucket.put_many(
            {"in/b.txt": b"four", "in/a.jpg": bytes(1000), "in/drafts/c.jpg": b"x", "other/d.txt": b"d"}
        )
        yield bucket


def as_objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_names_and_sizes_in_lines_and_totals_beside_them(call: Caller, filled: Bucket) -> None:
    status, out, said = call("ls", filled.url("in/"))
    assert status == 0
    assert [line.split()[0::3] for line in out.splitlines()] == [
        ["1,000", "a.jpg"],
        ["4", "b.txt"],
        ["1", "drafts/c.jpg"],
    ]
    assert said.startswith("3 entries, 1,005 bytes; as an archive ")


@pytest.mark.parametrize("options", [(), ("--flatten",), ("--root", "top", "--include", "*.jpg")])
def test_it_tells_what_zip_makes_to_the_byte(
    options: tuple[str, ...], call: Caller, filled: Bucket, tmp_path: Path
) -> None:
    *told, total = as_objects(call("ls", filled.url("in/"), "--json", *options).out)
    archive = tmp_path / "a.zip"
    state = ("--state-dir", str(tmp_path / "state"))
    assert call("zip", filled.url("in/"), str(archive), *options, *state).status == 0
    assert total["archive_bytes"] == archive.stat().st_size
    with zipfile.ZipFile(archive) as opened:
        made = {each.filename: each.file_size for each in opened.infolist()}
    assert {each["name"]: each["bytes"] for each in told} == made
    assert total["entries"] == len(made)


def test_what_globs_leave_out_is_told_with_the_reason(call: Caller, filled: Bucket) -> None:
    options = ("--include", "*.jpg", "--exclude", "drafts/", "--excluded")
    status, out, _ = call("ls", filled.url("in/"), "--json", *options)
    assert status == 0
    told = as_objects(out)
    assert {each["source"]: each["reason"] for each in told if each["type"] == "excluded"} == {
        filled.url("in/b.txt"): NOT_INCLUDED,
        filled.url("in/drafts/c.jpg"): EXCLUDED,
    }
    assert (told[-1]["entries"], told[-1]["excluded"], told[-1]["excluded_bytes"]) == (1, 2, 5)
    said = call("ls", filled.url("in/"), *options).said
    assert f"excluded: {filled.url('in/b.txt')}: {NOT_INCLUDED}\n" in said
    assert "2 left out by globs, 5 bytes\n" in said


def test_what_is_missing_is_named_and_is_a_failure_unless_skipped(call: Caller, filled: Bucket) -> None:
    arguments = ("ls", filled.url("in/"), filled.url("none"), "--quiet")
    status, out, said = call(*arguments)
    assert status == 1
    assert out.endswith("  MISSING.txt\n")
    assert said.splitlines() == [
        f"missing: {filled.url('none')}: there is no object and no folder {filled.url('none')}",
        "1 missing: `bucketzip zip` refuses that; with --on-missing skip it makes what is listed here",
    ]
    assert call(*arguments, "--on-missing", "skip").status == 0
    told = as_objects(call(*arguments, "--json").out)
    assert [each["error"] for each in told if each["type"] == "missing"] == ["no_such_object"]
    assert told[-1]["missing"] == 1


def test_the_summary_alone(call: Caller, filled: Bucket) -> None:
    status, out, said = call("ls", filled.url("in/"), "--summary", "--quiet")
    assert (status, said) == (0, "")
    assert out.startswith("3 entries, 1,005 bytes; as an archive ")
    assert [each["type"] for each in as_objects(call("ls", filled.url("in/"), "--summary", "--json").out)] == ["total"]


def test_without_a_source_it_lists_buckets(call: Caller, filled: Bucket) -> None:
    status, out, said = call("ls")
    assert (status, said) == (0, "")
    assert filled.name in [line.split()[-1] for line in out.splitlines()]
    told = as_objects(call("ls", "--json").out)
    assert filled.name in [each["name"] for each in told if each["type"] == "bucket"]


def test_options_name_the_s3_for_one_run(
    call: Caller, s3_server: EmbeddedS3, filled: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(
        f"[profile here]\naws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    elsewhere = ("--endpoint", s3_server.endpoint_url, "--region", s3_server.region)
    assert call("ls", filled.url("in/"), *elsewhere).status == 1
    assert call("ls", filled.url("in/"), *elsewhere, "--profile", "here").status == 0
    status, _, said = call("ls", filled.url("in/"), "--endpoint", "localhost:9000")
    assert status == 2
    assert "argument --endpoint: is written https://s3.example.com, not 'localhost:9000'" in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("photos",), "a source is written s3://bucket/key, not 'photos'"),
        (("s3://",), "'' is not a bucket's name"),
        (("--include", "*.jpg"), "--include and --exclude are for a source"),
        (("s3://photos/", "--include", ""), "String should have at least 1 character"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], why: str, call: Caller) -> None:
    status, out, said = call("ls", *arguments)
    assert (status, out) == (2, "")
    assert said.startswith(f"bucketzip: {why}"), said


def test_what_s3_refuses_is_one_line(call: Caller, filled: Bucket) -> None:
    status, out, said = call("ls", "s3://no-such-bucket-here/")
    assert (status, out) == (1, "")
    assert said == ("bucketzip: s3://no-such-bucket-here/: S3 says NoSuchBucket, The specified bucket does not exist\n")


def test_without_credentials_it_says_what_to_do(call: Caller) -> None:
    status, _, said = call("ls", "s3://photos/")
    assert status == 1
    assert "Attach a role to the instance, or set AWS_PROFILE" in said


def test_two_sizes_where_s3_does_not_tell_a_large_checksum(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_thread(LyingS3({"large.bin": Synthetic(9 * MIB, 1), "small.bin": b"x"})) as stub:
        for name, value in stub_environment(stub.endpoint_url).items():
            monkeypatch.setenv(name, value)
        (*_, total) = as_objects(call("ls", "s3://stub/", "--json").out)
        assert total["archive_bytes"] == total["archive_bytes_in_bucket"] + 16, "a descriptor"
        assert f", or {total['archive_bytes_in_bucket']:,} where checksums" in call("ls", "s3://stub/").said
        assert not stub.store.uploads
        assert stub.counts.keys() <= {"ListObjectsV2", "HeadObject", "GetBucketVersioning", "ListObjectVersions"}


def test_a_listing_that_breaks_is_no_short_listing(
    call: Caller, monkeypatch: pytest.MonkeyPatch, no_back_off: None
) -> None:
    with in_thread(LyingS3({f"{number:04}": b"" for number in range(1500)})) as stub:
        for name, value in stub_environment(stub.endpoint_url).items():
            monkeypatch.setenv(name, value)
        stub.on(lists(), lies.access_denied(), skip=1)
        status, _, said = call("ls", "s3://stub/")
    assert status == 1
    assert said.startswith("bucketzip: s3://stub/: S3 says AccessDenied, ")
    assert "entries" not in said


def test_a_reader_that_leaves_ends_it_quietly(s3_server: EmbeddedS3, filled: Bucket) -> None:
    """As `| head` does."""
    with subprocess.Popen(
        [COMMAND, "ls", filled.url("in/")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(120) == 141
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


async def test_entries_are_told_while_the_listing_goes_on() -> None:
    """Of a million keys the first are seen at once."""
    heard: list[str] = []
    went_on = asyncio.Event()

    class Slow(Shelf):
        async def pages(self, bucket: str, prefix: str) -> Pages:
            yield [listed("a")]
            await went_on.wait()
            yield [listed("b")]

    def tell(entry: Entry) -> None:
        heard.append(entry.name)
        went_on.set()

    def ignored(bucket: str, listed: Listed, why: str) -> None:
        """Nothing is left out."""

    async with asyncio.timeout(120):
        totals = await preview(ZipRequest.model_validate({"sources": ["s3://photos/"]}), Slow(), tell, ignored)
    assert heard == ["a", "b"]
    assert totals.entries == 2
