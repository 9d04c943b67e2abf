"""Compressed archives in a bucket: what comes of them, and from where they go on when something was in the way."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from bucketzip.archive.crc import crc32
from bucketzip.embedded import EmbeddedS3
from tests.bucket import new_bucket
from tests.faults import lies, lies_about_checksums
from tests.faults.asked import Asked
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import Lie, LyingS3, Predicate, does, gets
from tests.jobs.archiving import (
    KEY,
    MIB,
    Client,
    Moment,
    assert_archived,
    assert_nothing_left,
    away,
    once_sent,
    receipted,
    stored,
    times_sent,
)
from tests.jobs.conftest import Starts
from tests.readers.readers import ArchiveReaders
from tests.web.serving import serving

pytestmark = pytest.mark.usefixtures("_no_back_off")

PART_BYTES = 5 * MIB
PARTS = 5
DICE = random.Random(1)
TEXT = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(40_000))
OBJECTS = {
    "a.txt": TEXT[:1000],
    "b/empty": b"",
    "b/large.bin": DICE.randbytes(8 * MIB + 1),
    "b/text.txt": TEXT,
    "c/photo.jpg": DICE.randbytes(9 * MIB),
    "c/zeros": bytes(5 * MIB + 17),
    "\u00fcber/\u65e5\u672c.bin": DICE.randbytes(6 * MIB),
    **{f"many/{number:03}.txt": TEXT[number : number + 3000] for number in range(300)},
}


def put(number: int) -> Predicate:
    """Pick a part by its number."""
    return lambda asked: does("UploadPart", KEY)(asked) and asked.query["partNumber"] == str(number)


def times_by_part(stub: LyingS3) -> dict[int, int]:
    return {part: times for (_, part), times in times_sent(stub).items()}


@pytest.fixture
def contents(stub: LyingS3) -> dict[str, bytes]:
    for name, content in OBJECTS.items():
        stub.objects.put(f"in/{name}", content)
    return dict(OBJECTS)


@pytest.fixture
def start_small(start: Starts) -> Starts:
    """A server that sends parts as short as they may be."""
    return partial(start, compressed_part_bytes=PART_BYTES)


@pytest.fixture
async def client(state: Path, start_small: Starts, _no_back_off: None) -> AsyncIterator[Client]:
    async with start_small(state) as started:
        yield started


async def test_in_a_real_server_it_opens_everywhere(
    s3_server: EmbeddedS3, archive_readers: ArchiveReaders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        new_bucket(s3_server) as bucket,
        serving(s3_server.environment(), tmp_path / "state", monkeypatch, compressed_part_bytes=PART_BYTES) as running,
    ):
        await bucket.put_many({f"in/{name}": content for name, content in OBJECTS.items()} | {"in/folder/": b""})
        client = Client(running.client, running.base)
        job = await client.archived(bucket.url("in/"), destination=bucket.url(KEY), compression="auto")
        answer = await bucket.client.get_object(Bucket=bucket.name, Key=KEY, ChecksumMode="ENABLED")
        archive = await answer["Body"].read()
    path = tmp_path / "a.zip"
    path.write_bytes(archive)
    archive_readers.assert_opens_everywhere(path, {**OBJECTS, "folder/": b""}, java_stream=True)
    assert (job["result"]["bytes"], int(job["result"]["crc32"], 16)) == (len(archive), crc32(archive))
    assert answer["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize(("compression", "level"), [("deflate", 1), ("auto", 6)])
async def test_what_it_tells(
    stub: LyingS3, client: Client, contents: dict[str, bytes], compression: str, level: int
) -> None:
    job = await client.archived(compression=compression, level=level)
    archive, source_bytes = assert_archived(stub, contents), sum(map(len, contents.values()))
    result, progress = job["result"], job["progress"]
    assert progress["bytes"] == progress["of_bytes"] == progress["built_bytes"] == source_bytes
    assert progress["entries"] == progress["of_entries"] == result["entries"] == len(contents)
    assert (result["bytes"], result["source_bytes"]) == (len(archive), source_bytes)
    assert result["ratio"] == round(len(archive) / source_bytes, 4)
    assert (result["compression"], result["level"]) == (compression, level)
    assert (result["copied_bytes"], result["built_bytes"]) == (0, len(archive))
    assert result["methods"] == {"stored": 1, "deflated": len(contents) - 1}
    assert set(times_by_part(stub).values()) == {1}
    assert len(times_by_part(stub)) == result["parts"] == PARTS


async def test_one_of_nothing_but_small_objects_is_one_part(stub: LyingS3, client: Client) -> None:
    stub.objects.put("in/empty", b"")
    stub.objects.put("in/text", TEXT[:5000])
    job = await client.archived(compression="deflate")
    assert_archived(stub, {"empty": b"", "text": TEXT[:5000]})
    assert (job["result"]["parts"], job["result"]["methods"]) == (1, {"stored": 1, "deflated": 1})


async def test_nothing_at_all_has_no_ratio(stub: LyingS3, client: Client) -> None:
    stub.objects.put("in/empty", b"")
    job = await client.archived(compression="auto")
    assert (job["result"]["source_bytes"], job["result"]["ratio"]) == (0, None)


# In the way


async def test_it_goes_on_behind_the_last_receipt(
    stub: LyingS3, state: Path, start_small: Starts, contents: dict[str, bytes]
) -> None:
    """Part 3 is there, and 4 too, but 3 was never answered: so part 4 has no receipt either."""
    async with start_small(state) as client:
        held, later = Moment(stub, put(3)), asyncio.Event()
        stub.on(put(4), _noting(later))
        job_id = await client.begin(compression="auto")
        await held.come()
        await asyncio.wait_for(later.wait(), 120)
    stub.stop_lying()
    had, before = receipted(state), times_sent(stub)
    assert {part for _, part in had} == {1, 2}
    assert set(before.values()) == {1}
    async with start_small(state) as client:
        assert (await client.until(job_id))["state"] == "succeeded"
    sent = times_sent(stub)
    assert all(sent[part] == 1 for part in had), "no part that has a receipt is sent again"
    assert [sent[part] - before[part] for part in sorted(sent)] == [0, 0, 1, 1, 1]
    archive = assert_archived(stub, contents)

    async with start_small(state.with_name("another")) as client:
        await client.archived(compression="auto", if_exists="replace")
    assert stored(stub) == archive, "as if nothing had been"


def _noting(event: asyncio.Event) -> Lie:
    def lie(asked: Asked, honest: Reply) -> Reply:
        event.set()
        return honest

    return lie


@pytest.mark.parametrize("lost", [1, 3, PARTS])
async def test_with_a_part_that_s3_lost_all_later_ones_are_made_again(
    stub: LyingS3, client: Client, contents: dict[str, bytes], lost: int
) -> None:
    stub.on(does("ListParts", KEY), lies_about_checksums.omits_part(lost), times=1)
    job = await client.archived(compression="auto")
    assert_archived(stub, contents)
    assert times_by_part(stub) == {part: 1 + (part >= lost) for part in range(1, PARTS + 1)}
    assert job["progress"]["bytes"] == sum(map(len, contents.values()))


TROUBLE: dict[str, Callable[[LyingS3], None]] = {
    "S3 is away": lambda stub: stub.on(once_sent(stub, 2), away(), times=60),
    "a part fails again and again": lambda stub: stub.on(put(2), lies.internal_error(), times=12),
    "its content does": lambda stub: stub.on(gets("in/c/photo.jpg"), lies.internal_error(), times=12),
    "slow down": lambda stub: stub.on(_some(random.Random(4)), lies.slow_down(), times=60),
}


def _some(dice: random.Random) -> Predicate:
    return lambda _: dice.random() < 0.6


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_what_may_go_better_is_tried_again(
    stub: LyingS3, client: Client, contents: dict[str, bytes], trouble: str
) -> None:
    TROUBLE[trouble](stub)
    await client.archived(compression="auto")
    assert_archived(stub, contents)


async def test_an_object_that_changes_while_it_is_read_ends_it(
    stub: LyingS3, client: Client, contents: dict[str, bytes]
) -> None:
    def change(asked: Asked, honest: Reply) -> Reply:
        stub.objects.put("in/c/photo.jpg", DICE.randbytes(9 * MIB))
        return honest

    stub.on(gets("in/c/photo.jpg"), change, times=1)
    job = await client.failed(compression="auto")
    assert job["error"]["code"] == "source_changed"
    assert "s3://stub/in/c/photo.jpg" in job["error"]["detail"]
    assert_nothing_left(stub)


async def test_one_that_vanishes_may_be_left_out(stub: LyingS3, client: Client, contents: dict[str, bytes]) -> None:
    def delete(asked: Asked, honest: Reply) -> Reply:
        stub.objects.delete("in/c/photo.jpg")
        return honest

    stub.on(gets("in/c/photo.jpg"), delete, times=1)
    job = await client.archived(compression="auto", on_missing="skip")
    del contents["c/photo.jpg"]
    assert_archived(stub, contents)
    assert [each["code"] for each in job["result"]["skipped"]["objects"]] == ["no_such_object"]


async def test_it_is_cancelled_soon(stub: LyingS3, client: Client, contents: dict[str, bytes]) -> None:
    moment = Moment(stub, put(2))
    job_id = await client.begin(compression="auto")
    await moment.come()
    await client.cancel(job_id)
    assert (await client.until(job_id))["state"] == "cancelled"
    assert_nothing_left(stub)
    stub.stop_lying()
    await client.archived(compression="auto")  # and has left the turns to others


async def test_its_progress_is_that_of_the_content(stub: LyingS3, client: Client, contents: dict[str, bytes]) -> None:
    moment = Moment(stub, put(3))
    job_id = await client.begin(compression="auto")
    await moment.come()
    two_parts = 2 * PART_BYTES - MIB
    progress = (await client.until_it(job_id, lambda job: job["progress"]["bytes"] > two_parts))["progress"]
    assert progress["bytes"] < progress["of_bytes"] == sum(map(len, contents.values()))
    moment.let_go()
