"""`bucketzip zip` into a bucket, as a process: on a real server, and stopped and gone on with on a stub that counts."""

import asyncio
import io
import json
import os
import re
import signal
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket
from tests.command import begun, installed, ran
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.content import Synthetic
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import Lie, LyingS3, does, gets
from tests.web.serving import stub_environment

MIB = 1 << 20
STATE = Path("state/bucketzip/zip")

Environment = dict[str, str]


async def object_at(bucket: Bucket, key: str) -> bytes:
    answer = await bucket.client.get_object(Bucket=bucket.name, Key=key)
    return await answer["Body"].read()


async def uploads(bucket: Bucket) -> int:
    return len((await bucket.client.list_multipart_uploads(Bucket=bucket.name)).get("Uploads", []))


async def test_it_is_there_as_it_was_wanted(s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path) -> None:
    contents = {"large.bin": os.urandom(11 * MIB), "x/small.txt": b"small"}
    await bucket.put_many({f"in/{name}": data for name, data in contents.items()})
    done = await ran(
        s3_server.environment(),
        tmp_path,
        *("zip", bucket.url("in/"), bucket.url("out/a.zip"), "--json", "--tag", "team=ops", "--tag", "kind=zip"),
        *("--metadata", "made-by=me", "--storage-class", "STANDARD_IA", "--content-type", "application/x-zip"),
    )
    assert (done.status, done.said) == (0, "")
    told = json.loads(done.out)
    archive = await object_at(bucket, "out/a.zip")
    assert (told["state"], told["destination"]) == ("succeeded", bucket.url("out/a.zip"))
    assert told["result"]["bytes"] == len(archive) == told["progress"]["bytes"]
    assert told["result"]["copied_bytes"] > 5 * MIB
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == contents
    head = await bucket.client.head_object(Bucket=bucket.name, Key="out/a.zip")
    assert head["Metadata"]["made-by"] == "me"
    assert (head["ContentType"], head["StorageClass"]) == ("application/x-zip", "STANDARD_IA")
    tags = await bucket.client.get_object_tagging(Bucket=bucket.name, Key="out/a.zip")
    assert {tag["Key"]: tag["Value"] for tag in tags["TagSet"]} == {"team": "ops", "kind": "zip"}
    assert not list((tmp_path / STATE).iterdir())


async def test_people_are_told_in_one_line(s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path) -> None:
    await bucket.put("in/a", b"content")
    arguments = ("zip", bucket.url("in/"), bucket.url("out/a.zip"))
    done = await ran(s3_server.environment(), tmp_path, *arguments)
    size = len(await object_at(bucket, "out/a.zip"))
    assert (done.status, done.said) == (0, "")
    assert done.out.decode().startswith(f"{bucket.url('out/a.zip')}: 1 entry, {size} bytes in ")
    told = (
        f" s, of them 0 copied by S3 and {size} through this host; \\d+ requests, \\$0\\.\\d{{6}} at AWS's list price\n"
    )
    assert re.search(told + "$", done.out.decode())
    done = await ran(s3_server.environment(), tmp_path, *arguments)
    assert (done.status, done.out) == (1, b"")
    why = "is there already; name another (or ask with --if-exists replace or rename)"
    assert done.said == f"bucketzip: {bucket.url('out/a.zip')} {why}\n"
    done = await ran(s3_server.environment(), tmp_path, *arguments, "--if-exists", "rename", "--json")
    assert json.loads(done.out)["destination"] == bucket.url("out/a (2).zip")


async def test_what_fails_is_told_to_programs_too(s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path) -> None:
    done = await ran(s3_server.environment(), tmp_path, "zip", bucket.url("in/"), bucket.url("a.zip"), "--json")
    assert done.status == 1
    told = json.loads(done.out)
    assert (told["state"], told["error"]["code"]) == ("failed", "nothing_to_zip")
    assert done.said == f"bucketzip: {told['error']['detail']}\n"
    done = await ran(s3_server.environment(), tmp_path, "zip", bucket.url("a.zip"), bucket.url("a.zip"), "--json")
    assert done.status == 1
    assert json.loads(done.out)["error"]["code"] == "destination_in_source"
    assert not list((tmp_path / STATE).iterdir())
    assert not await uploads(bucket)


@pytest.fixture
async def stub() -> AsyncIterator[LyingS3]:
    objects = {"a": Synthetic(12 * MIB, 1), "b": Synthetic(MIB, 2), "c": Synthetic(15 * MIB, 3)}
    async with LyingS3(objects) as running:
        yield running


@pytest.fixture
def on_stub(stub: LyingS3) -> Environment:
    return stub_environment(stub.endpoint_url)


def unanswered(arrived: asyncio.Event) -> Lie:
    """It is done, and nobody hears of it but us."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        arrived.set()
        return lies.stalled(0)(asked, honest)

    return lie


async def stopped(stub: LyingS3, environment: Environment, work: Path, number: signal.Signals) -> None:
    """Begun, and ended by a signal when all copies are there and a part that is built is on its way."""
    arrived = asyncio.Event()
    stub.on(does("UploadPart"), unanswered(arrived))
    async with begun(environment, work, "zip", "s3://stub/", "s3://stub/out/a.zip") as running:
        await arrived.wait()
        done = await running.ended_by(number)
    stub.stop_lying()
    if number is not signal.SIGKILL:
        assert done == (128 + number, b"", "stopped: the same command goes on from there (--discard throws it away)\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_the_same_command_goes_on_where_it_stood(
    number: signal.Signals, stub: LyingS3, on_stub: Environment, tmp_path: Path
) -> None:
    await stopped(stub, on_stub, tmp_path, number)
    assert stub.counts["UploadPartCopy"] > 2
    stub.requests.clear()
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "s3://stub/out/a.zip", "--json")
    assert (done.status, done.said) == (0, "going on where an earlier run has stopped\n")
    assert not stub.counts["CreateMultipartUpload"]
    assert not stub.counts["UploadPartCopy"], "what was done is not done again"
    made = stub.objects.find("out/a.zip", None)
    assert made is not None
    content = made.content
    with zipfile.ZipFile(io.BytesIO(content.read(0, content.size))) as opened:
        assert opened.testzip() is None
        assert sorted(opened.namelist()) == ["a", "b", "c"]
    assert not stub.uploads_left
    assert not list((tmp_path / STATE).iterdir())


async def test_discard_aborts_the_upload(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    await stopped(stub, on_stub, tmp_path, signal.SIGINT)
    assert len(stub.uploads_left) == 1
    for said in (b"discarded\n", b"there is nothing to discard\n"):
        done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "s3://stub/out/a.zip", "--discard")
        assert done == (0, said, "")
        assert not stub.uploads_left
        assert not list((tmp_path / STATE).iterdir())


@pytest.mark.parametrize(("options", "told"), [((), True), (("--log-level", "error"), False)])
async def test_who_waits_is_told_for_what(
    options: tuple[str, ...],
    told: bool,  # noqa: FBT001  -- a parameter of the test
    stub: LyingS3,
    on_stub: Environment,
    tmp_path: Path,
) -> None:
    stub.on(does("UploadPart"), lies.slow_down(), times=1)
    done = await ran(on_stub, tmp_path, "zip", "s3://stub/b", "s3://stub/out/a.zip", *options)
    assert done.status == 0
    assert ("info tried again in a while: s3://stub/out/a.zip: S3 says SlowDown" in done.said) is told


async def test_the_same_command_twice_at_once(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    arrived = asyncio.Event()
    stub.on(does("UploadPart"), unanswered(arrived))
    async with begun(on_stub, tmp_path, "zip", "s3://stub/", "s3://stub/out/a.zip"):
        await arrived.wait()
        done = await ran(on_stub, tmp_path, "zip", "s3://stub/", "s3://stub/out/a.zip")
    assert done == (1, b"", "bucketzip: the same command is running already\n")


async def test_after_a_failure_the_same_command_begins_anew(
    stub: LyingS3, on_stub: Environment, tmp_path: Path
) -> None:
    arguments = ("zip", "s3://stub/", "s3://stub/none", "s3://stub/out/a.zip")
    assert (await ran(on_stub, tmp_path, *arguments)).status == 1
    stub.objects.put("none", b"now")
    done = await ran(on_stub, tmp_path, *arguments)
    assert (done.status, done.said) == (0, "")


async def test_content_that_is_not_what_s3_told(stub: LyingS3, on_stub: Environment, tmp_path: Path) -> None:
    stub.objects.put("b", Synthetic(MIB, 7), crc="full")
    stub.on(gets("b"), lies.other_bytes(5))
    arguments = ("zip", "s3://stub/b", "s3://stub/out/a.zip")
    done = await ran(on_stub, tmp_path, *arguments)
    assert done.status == 1
    assert "s3://stub/b: CRC-32 " in done.said
    assert not stub.uploads_left
    done = await ran(on_stub, tmp_path, *arguments)
    assert (done.status, done.said) == (0, ""), "the same command does not trust that again"
    assert not list((tmp_path / STATE).iterdir())


async def test_no_credentials_is_one_clear_line(tmp_path: Path) -> None:
    arguments = ("zip", "s3://stub/", "s3://stub/out/a.zip", "--log-level", "error")
    done = await installed({}, tmp_path, *arguments)
    assert (done.status, done.out) == (1, b"")
    assert done.said.startswith("bucketzip: There are no AWS credentials.")
    assert not list((tmp_path / STATE).iterdir()), "there is nothing to go on with"
