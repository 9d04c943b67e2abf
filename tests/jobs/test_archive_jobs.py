"""Archives written into a bucket, the whole way: what comes of it, whatever S3 and its owner do meanwhile."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bucketzip.jobs import job_run
from bucketzip.jobs.prices import list_price_usd
from tests.faults import lies, lies_about_checksums
from tests.faults.asked import Asked
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import Lie, LyingS3, does
from tests.jobs.archiving import (
    KEY,
    MIB,
    Client,
    assert_archived,
    assert_nothing_left,
    away,
    creates,
    fill,
    once_sent,
    sends,
    stored,
    times_sent,
)
from tests.jobs.conftest import Starts
from tests.readers.readers import ArchiveReaders

pytestmark = pytest.mark.usefixtures("_no_back_off")

MIXED = {
    "a/large.bin": 23 * MIB,
    "a/small.txt": 1000,
    "b/empty": 0,
    "b/middle.bin": 11 * MIB + 1,
    "b/under.bin": 7 * MIB,
    "\u00fcber/\u65e5\u672c.txt": 30_000,
    **{f"c/{number:02}.txt": 50_000 + number for number in range(20)},
}
TWO = {"1.bin": 11 * MIB, "2.bin": 12 * MIB}


def meanwhile(stub: LyingS3, do: Callable[[], object]) -> None:
    """Do something to the store once the job is planned, as its upload is begun."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        do()
        return honest

    stub.on(creates(), lie, times=1)


def asked_for(stub: LyingS3, operation: str, key: str = KEY) -> int:
    return sum(does(operation, key)(asked) for asked in stub.requests)


# What comes of it


async def test_an_archive_of_all_kinds_opens_everywhere(
    stub: LyingS3, client: Client, archive_readers: ArchiveReaders, tmp_path: Path
) -> None:
    contents = fill(stub, MIXED)
    stub.objects.put("in/folder/", b"")
    contents["folder/"] = b""
    job = await client.archived()
    archive = assert_archived(stub, contents)
    path = tmp_path / "a.zip"
    path.write_bytes(archive)
    archive_readers.assert_opens_everywhere(path, contents, java_stream=True)

    result, progress = job["result"], job["progress"]
    found = stub.objects.find(KEY, None)
    assert found is not None
    assert (result["etag"], int(result["crc32"], 16)) == (found.etag.strip('"'), found.crc)
    assert (result["bucket"], result["key"], result["bytes"]) == ("stub", KEY, len(archive))
    assert result["entries"] == progress["entries"] == progress["of_entries"] == len(contents)
    assert progress["bytes"] == progress["of_bytes"] == len(archive)
    assert progress["copied_bytes"] == result["copied_bytes"] > (23 - 5 + 11 - 5) * MIB
    assert result["copied_bytes"] + result["built_bytes"] == len(archive)
    assert job["notes"] == []
    assert asked_for(stub, "UploadPartCopy") + asked_for(stub, "UploadPart") == result["parts"]
    sent, came = result["requests"], stub.counts
    assert sent.pop("GetObject") >= came.pop("GetObject"), "one may be broken off before it comes"
    assert sent == came, "all that was asked was asked for it"
    assert result["list_price_usd"] > list_price_usd(came) > 0
    assert set(result["phases"]) == {"planning", "running", "finishing"}
    assert all(seconds > 0 for seconds in result["phases"].values())
    assert sum(result["phases"].values()) <= result["seconds"] + 1  # that is told by a clock of whole seconds
    assert result["skipped"] == {"count": 0, "objects": []}


async def test_what_is_missing_may_be_told_in_the_archive(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, {"a": 100})
    job = await client.archived("s3://stub/in/", "s3://stub/nothing", on_missing="skip")
    (skipped,) = job["result"]["skipped"]["objects"]
    assert (skipped["url"], skipped["code"]) == ("s3://stub/nothing", "no_such_object")
    archive = stored(stub)
    told = archive[archive.index(b"Not in this archive") : archive.index(b"PK\1\2")]
    assert b"s3://stub/nothing\tno_such_object" in told
    assert_archived(stub, {**contents, "MISSING.txt": told})


async def test_or_keeps_it_from_being_made(stub: LyingS3, client: Client) -> None:
    fill(stub, {"a": 100})
    job = await client.failed("s3://stub/in/", "s3://stub/nothing")
    assert job["error"]["code"] == "no_such_object"
    assert "s3://stub/nothing" in job["error"]["detail"]
    assert job["error"]["detail"].endswith(' (or ask with "on_missing": "skip")')
    assert asked_for(stub, "CreateMultipartUpload") == 0


UNPROVEN: dict[str, Callable[[LyingS3], Lie]] = {
    "no CRC": lambda _: lies_about_checksums.copy_without_crc(),
    "a wrong CRC": lambda _: lies_about_checksums.wrong_copy_crc(),
    "nothing copied": lies_about_checksums.copies_nothing,
    "not allowed": lambda _: lies.access_denied(),
}


@pytest.mark.parametrize("unproven", UNPROVEN)
async def test_it_has_the_same_bytes_where_nothing_can_be_copied(
    stub: LyingS3, start: Starts, tmp_path: Path, unproven: str
) -> None:
    contents = fill(stub, MIXED)
    stub.on(does("UploadPartCopy"), UNPROVEN[unproven](stub))
    async with start(tmp_path / "one") as client:
        job = await client.archived()
    assert job["result"]["copied_bytes"] == asked_for(stub, "UploadPartCopy") == 0
    assert [note.partition(",")[0] for note in job["notes"]] == ["nothing is copied from s3://stub"]
    built = assert_archived(stub, contents)

    stub.stop_lying()
    async with start(tmp_path / "another") as client:
        await client.archived(if_exists="replace")
    assert asked_for(stub, "UploadPartCopy") > 0
    assert stored(stub) == built


# Where it goes


async def test_what_is_there_already(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, {"a": 1000})
    stub.objects.put(KEY, b"of somebody else")
    job = await client.failed()
    assert job["error"]["code"] == "destination_exists"
    assert job["error"]["detail"].endswith(' (or ask with "if_exists": "replace" or "rename")')
    assert stored(stub) == b"of somebody else"

    job = await client.archived(if_exists="rename")
    assert job["destination"] == "s3://stub/out/a (2).zip"
    assert_archived(stub, contents, "out/a (2).zip")
    assert stored(stub) == b"of somebody else"

    await client.archived(if_exists="replace")
    assert_archived(stub, contents)


async def test_what_comes_there_meanwhile(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, {"a": 1000})
    meanwhile(stub, lambda: stub.objects.put(KEY, b"of somebody else"))
    job = await client.failed()
    assert job["error"]["code"] == "destination_exists"
    assert stored(stub) == b"of somebody else"
    assert_nothing_left(stub)

    stub.objects.delete(KEY)
    meanwhile(stub, lambda: stub.objects.put(KEY, b"of somebody else"))
    job = await client.archived(if_exists="rename")
    assert job["result"]["key"] == "out/a (2).zip"
    assert_archived(stub, contents, "out/a (2).zip")
    assert stored(stub) == b"of somebody else"


async def test_it_is_never_in_itself(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, {"a": 1000})
    for notes in ([], ["s3://stub/in/a.zip is left out: it is the archive itself"]):
        job = await client.archived(destination="s3://stub/in/a.zip", if_exists="replace")
        assert job["notes"] == notes
        assert_archived(stub, contents, "in/a.zip")


# What S3 does meanwhile


@pytest.mark.parametrize("changed", ["1.bin", "small"])
async def test_a_source_that_changed_fails_it_by_name(stub: LyingS3, client: Client, changed: str) -> None:
    fill(stub, {**TWO, "small": 1000})
    meanwhile(stub, lambda: stub.objects.put(f"in/{changed}", b"another" * 2 * MIB))
    job = await client.failed()
    assert job["error"]["code"] == "source_changed"
    assert f"s3://stub/in/{changed}" in job["error"]["detail"]
    assert_nothing_left(stub)


@pytest.mark.parametrize("gone", ["1.bin", "small"])
async def test_so_does_one_that_vanished(stub: LyingS3, client: Client, gone: str) -> None:
    fill(stub, {**TWO, "small": 1000})
    meanwhile(stub, lambda: stub.objects.delete(f"in/{gone}"))
    job = await client.failed()
    assert job["error"]["code"] == "no_such_object"
    assert f"s3://stub/in/{gone}" in job["error"]["detail"]
    assert_nothing_left(stub)


@pytest.mark.parametrize("gone", ["1.bin", "small"])
async def test_unless_it_may_be_left_out(stub: LyingS3, client: Client, gone: str) -> None:
    contents = fill(stub, {**TWO, "small": 1000})
    meanwhile(stub, lambda: stub.objects.delete(f"in/{gone}"))
    job = await client.archived(on_missing="skip")
    del contents[gone]
    assert_archived(stub, contents)
    (note,) = job["notes"]
    assert note.startswith("planned anew: ")
    assert gone in note
    (skipped,) = job["result"]["skipped"]["objects"]
    assert (skipped["url"], skipped["code"]) == (f"s3://stub/in/{gone}", "no_such_object")


async def test_one_that_changed_is_not_left_out(stub: LyingS3, client: Client) -> None:
    """It is there, and nobody said that another one would do."""
    fill(stub, TWO)
    meanwhile(stub, lambda: stub.objects.put("in/1.bin", b"another" * 2 * MIB))
    job = await client.failed(on_missing="skip")
    assert job["error"]["code"] == "source_changed"
    assert "s3://stub/in/1.bin" in job["error"]["detail"]
    assert asked_for(stub, "CreateMultipartUpload") == 1
    assert_nothing_left(stub)


async def test_but_not_again_and_again(stub: LyingS3, client: Client) -> None:
    """Whatever is copied, is gone when it is."""
    fill(stub, TWO)
    stub.on(does("UploadPartCopy", KEY), lies.refuse(404, "NoSuchKey"))
    job = await client.failed(on_missing="skip")
    assert job["error"]["code"] == "no_such_object"
    assert asked_for(stub, "CreateMultipartUpload") == 1 + job_run.REPLANS
    assert_nothing_left(stub)


@pytest.mark.parametrize("refused", [lies.access_denied, lies_about_checksums.copy_without_crc])
async def test_copies_that_are_refused_half_way_are_built(
    stub: LyingS3, client: Client, refused: Callable[[], Lie]
) -> None:
    contents = fill(stub, MIXED)
    stub.on(does("UploadPartCopy", KEY), refused(), skip=1)
    job = await client.archived()
    assert_archived(stub, contents)
    assert job["result"]["copied_bytes"] == 0
    (note,) = job["notes"]
    assert note.startswith("nothing is copied from s3://stub: s3://stub/in/")


async def test_a_source_with_another_crc_than_s3_stores_of_it(stub: LyingS3, client: Client) -> None:
    """It is copied as a whole, and nothing else would compare the two: its header would tell the wrong one."""
    fill(stub, {"small.bin": 6 * MIB})
    stub.objects.put("in/whole.bin", bytes(11 * MIB), crc="full")
    stub.on(does("HeadObject", "in/whole.bin"), lies.header("x-amz-checksum-crc32", "AAAAAA=="))
    job = await client.failed()
    assert job["error"]["code"] == "content_mismatch"
    assert "s3://stub/in/whole.bin" in job["error"]["detail"]
    assert all(
        "x-amz-copy-source-range" not in asked.headers for asked in stub.requests if does("UploadPartCopy", KEY)(asked)
    )
    assert asked_for(stub, "UploadPartCopy") == 1
    assert_nothing_left(stub)
    await client.archived()  # that is not believed again


async def test_parts_that_s3_lost_are_made_again(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, TWO)
    stub.on(does("ListParts", KEY), lies_about_checksums.omits_part(2), times=1)
    await client.archived()
    assert_archived(stub, contents)
    assert sorted(times_sent(stub).values()) == [1, 1, 1, 1, 2]
    assert {part for (_, part), times in times_sent(stub).items() if times == 2} == {2}


async def test_but_not_for_ever(stub: LyingS3, client: Client) -> None:
    fill(stub, TWO)
    stub.on(does("ListParts", KEY), lies_about_checksums.omits_part(2))
    job = await client.failed()
    assert job["error"]["code"] == "s3_error"
    assert "[2]" in job["error"]["detail"]
    assert times_sent(stub).most_common(1)[0][1] == 1 + job_run.REDOS
    assert_nothing_left(stub)


async def test_parts_without_an_etag_go_by_their_size(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, TWO)
    stub.on(does("ListParts", KEY), lies_about_checksums.parts_without_etag())
    await client.archived()
    assert_archived(stub, contents)
    assert set(times_sent(stub).values()) == {1}


async def test_an_upload_that_somebody_aborted_is_begun_again(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, TWO)
    stub.on(does("UploadPart", KEY), _aborting(stub), skip=1, times=1)
    job = await client.archived()
    assert_archived(stub, contents)
    assert asked_for(stub, "CreateMultipartUpload") == 2
    assert job["notes"][0].startswith("planned anew: ")


async def test_also_when_nothing_is_left_to_do(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, TWO)
    stub.on(does("ListParts", KEY), _aborting(stub), times=1)
    await client.archived()
    assert_archived(stub, contents)
    assert asked_for(stub, "CreateMultipartUpload") == 2


def _aborting(stub: LyingS3) -> Lie:
    """It was aborted just before."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        del stub.store.uploads[asked.query["uploadId"]]
        return lies.refuse(404, "NoSuchUpload")(asked, honest)

    return lie


async def test_a_storm_of_slow_down(stub: LyingS3, client: Client) -> None:
    """But for aborts: a scratch upload that no try can abort is told in the log, and left there."""
    contents = fill(stub, MIXED)
    dice, aborts = random.Random(4), does("AbortMultipartUpload")
    stub.on(lambda asked: not aborts(asked) and dice.random() < 0.7, lies.slow_down(), times=80)
    await client.archived()
    assert_archived(stub, contents)


async def test_s3_is_away_for_a_while(stub: LyingS3, client: Client) -> None:
    """For longer than any request is tried."""
    contents = fill(stub, TWO)
    stub.on(once_sent(stub, 2), away(), times=100)
    await client.archived()
    assert_archived(stub, contents)


async def test_credentials_that_expire_are_waited_for(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, TWO)
    stub.on(sends(), lies.expired_token(), skip=1, times=12)
    await client.archived()
    assert_archived(stub, contents)


LOST: dict[str, Callable[[], Lie]] = {
    "an error": lambda: lies.done_but(lies.internal_error()),
    "an error in a 200": lambda: lies.done_but(lies_about_checksums.error_with_200()),
    "no answer": lambda: lies.done_but(lies.cut_short(0)),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("if_exists", ["fail", "replace"])
async def test_the_answer_to_its_completion_is_lost(stub: LyingS3, client: Client, lost: str, if_exists: str) -> None:
    contents = fill(stub, TWO)
    stub.on(does("CompleteMultipartUpload"), LOST[lost](), times=1)
    await client.archived(if_exists=if_exists)
    assert_archived(stub, contents)
    assert set(times_sent(stub).values()) == {1}


@pytest.mark.parametrize("times", [1, 8], ids=["once", "for all tries of a request"])
@pytest.mark.parametrize("lost", LOST)
async def test_the_answer_to_its_creation_is_lost(stub: LyingS3, client: Client, lost: str, times: int) -> None:
    """Each try begins another upload, and only one is wanted. Those of others stay."""
    contents = fill(stub, TWO)
    older = stub.begin_upload(KEY)
    older.initiated = datetime.now(UTC) - timedelta(minutes=1)
    stub.begin_upload(f"{KEY}.other")
    stub.on(creates(), LOST[lost](), times=times)
    await client.archived()
    assert asked_for(stub, "CreateMultipartUpload") == times + 1
    assert [upload.key for upload in stub.uploads_left] == [KEY, f"{KEY}.other"]
    assert stub.uploads_left[0] is older
    stub.store.uploads.clear()
    assert_archived(stub, contents)


async def test_looking_for_it_may_be_forbidden(stub: LyingS3, client: Client) -> None:
    contents = fill(stub, TWO)
    stub.on(creates(), LOST["an error"](), times=1)
    stub.on(does("ListMultipartUploads"), lies.access_denied())
    job = await client.archived()
    (note,) = job["notes"]
    assert note.startswith(f"an upload to s3://stub/{KEY} may have been left behind")
    assert len(stub.uploads_left) == 1
    stub.store.uploads.clear()
    assert_archived(stub, contents)
