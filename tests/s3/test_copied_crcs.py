"""CRCs that S3 computes of copies: right ones or none, and never an upload that stays."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import Source
from bucketzip.embedded import EmbeddedS3
from bucketzip.s3 import copied_crcs, scratch
from bucketzip.s3.client import open_s3
from bucketzip.s3.copied_crcs import CopiedCrcs
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.probe import Prober
from bucketzip.s3.scratch import DEFAULT_PREFIX, Place, Scratch
from bucketzip.state.database import open_database
from bucketzip.state.probes import Probes, ScratchUpload, ScratchUploads
from bucketzip.state.processes import join_processes
from tests.bucket import Bucket
from tests.faults import lies, lies_about_checksums
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import Lie, LyingS3, does
from tests.s3.reading import eventually, of_stub

pytestmark = pytest.mark.usefixtures("no_back_off")

MIB = 1 << 20
SIZE = 6 * MIB
ANYWHERE = Place()


@asynccontextmanager
async def copying(environment: dict[str, str], directory: Path, place: Place = ANYWHERE) -> AsyncIterator[CopiedCrcs]:
    """What one server process has of it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        async with (
            CredentialKeeper().running() as keeper,
            open_s3(keeper, max_connections=32) as s3,
            open_database(directory) as database,
            join_processes(directory) as processes,
            Scratch(s3, ScratchUploads(database), processes, place).running() as opened,
        ):
            yield CopiedCrcs(opened, Prober(s3, opened, Probes(database)))


async def noted(directory: Path) -> list[ScratchUpload]:
    async with open_database(directory) as database:
        return await ScratchUploads(database).all()


def put(stub: LyingS3, key: str, size: int = SIZE, **more: object) -> tuple[Source, int]:
    stored = stub.objects.put(key, Synthetic(size, hash(key) % 1000), **more)  # type: ignore[arg-type]
    return Source(stub.bucket, key, stored.etag, stored.version_id or ""), size


def right(stub: LyingS3, *keys: str) -> list[int | None]:
    return [found.crc if (found := stub.objects.find(key, None)) else None for key in keys]


async def test_on_a_real_server(s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path) -> None:
    dice = random.Random(1)
    contents = {f"\u00fc {number} +%?&": dice.randbytes(SIZE + number) for number in range(3)}
    objects = []
    for key, content in contents.items():
        await bucket.put(key, content)
        head = await bucket.client.head_object(Bucket=bucket.name, Key=key)
        objects.append((Source(bucket.name, key, head["ETag"]), len(content)))
    async with copying(s3_server.environment(), tmp_path) as crcs:
        assert await crcs.proven(*objects[0])
        assert await crcs.compute(objects) == [crc32(content) for content in contents.values()]
    assert not (await bucket.client.list_multipart_uploads(Bucket=bucket.name)).get("Uploads")


async def test_many_objects_go_into_few_uploads(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copied_crcs, "MOST_PARTS", 10)
    keys = [f"{number}" for number in range(25)]
    objects = [put(stub, key, 1000) for key in keys]
    async with copying(of_stub(stub), tmp_path) as crcs:
        assert await crcs.compute(objects) == right(stub, *keys)
    assert (stub.counts["CreateMultipartUpload"], stub.counts["AbortMultipartUpload"]) == (3, 3)
    assert stub.counts["ListMultipartUploads"] == 0
    assert not any("x-amz-copy-source-range" in asked.headers for asked in stub.requests), "whole objects have no range"
    assert await noted(tmp_path) == []


@pytest.mark.parametrize("size", [4 * MIB, 8 * MIB, 8 * MIB + 1, 12 * MIB - 1])
async def test_large_objects_are_copied_in_pieces(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(copied_crcs, "PIECE_BYTES", 4 * MIB)
    objects = [put(stub, key, size) for key in ("a", "b")]
    async with copying(of_stub(stub), tmp_path) as crcs:
        assert await crcs.compute(objects) == right(stub, "a", "b")
    assert stub.counts["UploadPartCopy"] == 2 * -(-size // (4 * MIB))


async def test_a_version_is_copied_and_not_what_came_after_it(stub: LyingS3, tmp_path: Path) -> None:
    stub.versioned = True
    old = put(stub, "key", 1000)
    crc = right(stub, "key")
    stub.objects.put("key", b"new")
    async with copying(of_stub(stub), tmp_path) as crcs:
        assert await crcs.compute([old]) == crc


async def test_what_changed_or_is_denied_has_none_and_the_others_have(stub: LyingS3, tmp_path: Path) -> None:
    changed, denied, gone, fine = (put(stub, key, 1000) for key in ("changed", "denied", "gone", "fine"))
    stub.objects.put("changed", b"!" * 1000)
    stub.objects.delete("gone")
    stub.on(lambda asked: "/denied" in asked.headers.get("x-amz-copy-source", ""), lies.access_denied())
    async with copying(of_stub(stub), tmp_path) as crcs:
        assert await crcs.compute([changed, denied, gone, fine]) == [None, None, None, *right(stub, "fine")]
    assert stub.uploads_left == []


async def test_it_is_seen_whether_they_are_quick(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied_crcs, "SEEN_BYTES", MIB)
    monkeypatch.setattr(copied_crcs, "QUICK_BYTES_A_SECOND", 1e15)
    async with copying(of_stub(stub), tmp_path) as crcs:
        await crcs.compute([put(stub, "small", MIB - 1)])
        assert crcs.quick, "that shows nothing"
        await crcs.compute([put(stub, "large", MIB)])
        assert not crcs.quick
        monkeypatch.setattr(copied_crcs, "QUICK_BYTES_A_SECOND", 1000)
        assert crcs.quick


# The probe


async def test_it_is_tried_once(stub: LyingS3, tmp_path: Path) -> None:
    sample = put(stub, "key")
    for _ in range(2):
        async with copying(of_stub(stub), tmp_path) as crcs:
            assert await asyncio.gather(*(crcs.proven(*sample) for _ in range(5))) == [True] * 5
    assert stub.counts["UploadPartCopy"] == 2, "one as it should be, one that must be refused"
    assert stub.uploads_left == []
    assert sorted(stub.objects._current) == ["key"], "no object is written"


LIES: dict[str, tuple[str, Callable[[LyingS3], Lie]]] = {
    "no CRC": ("UploadPartCopy", lambda _: lies_about_checksums.copy_without_crc()),
    "a wrong CRC": ("UploadPartCopy", lambda _: lies_about_checksums.wrong_copy_crc()),
    "that of the whole object": ("UploadPartCopy", lies_about_checksums.copy_crc_of_whole_source),
    "an empty part": ("UploadPartCopy", lies_about_checksums.copies_nothing),
    "whatever is there": ("UploadPartCopy", lies_about_checksums.copies_whatever_is_there),
    "an error in a 200": ("UploadPartCopy", lambda _: lies_about_checksums.error_with_200("AccessDenied")),
    "a part that is not listed": ("ListParts", lambda _: lies_about_checksums.omits_part(1)),
    "no uploads": ("CreateMultipartUpload", lambda _: lies.not_implemented()),
    "no copies": ("UploadPartCopy", lambda _: lies.not_implemented()),
    "no writing": ("CreateMultipartUpload", lambda _: lies.access_denied()),
    "no reading": ("GetObject", lambda _: lies.access_denied()),
}


@pytest.mark.parametrize("lie", LIES)
async def test_what_is_not_proven_has_failed(stub: LyingS3, tmp_path: Path, lie: str) -> None:
    operation, make = LIES[lie]
    stub.on(does(operation), make(stub))
    sample = put(stub, "key", crc="full")
    async with copying(of_stub(stub), tmp_path) as crcs:
        assert not await crcs.proven(*sample)
        asked = len(stub.requests)
        assert not await crcs.proven(*sample)
    assert len(stub.requests) == asked, "it is remembered"
    assert stub.uploads_left == []
    assert await noted(tmp_path) == []


async def test_what_is_too_small_to_try_is_not_proven_nor_remembered(stub: LyingS3, tmp_path: Path) -> None:
    async with copying(of_stub(stub), tmp_path) as crcs:
        assert not await crcs.proven(*put(stub, "small", 5 * MIB))
        assert await crcs.proven(*put(stub, "large"))


async def test_another_place_for_scratch_uploads(stub: LyingS3, tmp_path: Path) -> None:
    async with copying(of_stub(stub), tmp_path, Place(stub.bucket, "tmp/of/ours/")) as crcs:
        assert await crcs.proven(*put(stub, "key"))
    keys = [asked.key for asked in stub.requests if asked.operation == "CreateMultipartUpload"]
    assert [key.startswith("tmp/of/ours/") for key in keys] == [True]


# Nothing stays


async def test_nothing_stays_of_what_is_cancelled(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "ABORT_PAUSE_SECONDS", 0.01)
    stub.on(does("UploadPartCopy"), lies.slow_first_byte(30))
    objects = [put(stub, f"{number}", 1000) for number in range(20)]
    async with copying(of_stub(stub), tmp_path) as crcs:
        task = asyncio.create_task(crcs.compute(objects))
        await eventually(lambda: stub.counts["UploadPartCopy"] >= 16)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert stub.uploads_left == []
    assert await noted(tmp_path) == []


async def test_nor_where_the_answer_to_its_creation_was_lost(stub: LyingS3, tmp_path: Path) -> None:
    stub.on(does("CreateMultipartUpload"), lies.done_but(lies.cut_short(0)), times=1)
    async with copying(of_stub(stub), tmp_path) as crcs:
        crcs_had = await crcs.compute([put(stub, "key", 1000)])
        assert crcs_had in ([None], right(stub, "key"))  # botocore may try again
    assert await noted(tmp_path) == []
    assert stub.uploads_left == []


async def test_what_a_dead_process_left_is_aborted_and_nothing_else(stub: LyingS3, tmp_path: Path) -> None:
    keys = {name: f"{DEFAULT_PREFIX}{name}" for name in ("dead", "living", "somebody else's")}
    for key in keys.values():
        stub.begin_upload(key, "FULL_OBJECT")
    async with join_processes(tmp_path) as neighbour:
        async with open_database(tmp_path) as database:
            await ScratchUploads(database).begun(ScratchUpload(stub.bucket, keys["dead"], "dead"))
            await ScratchUploads(database).begun(ScratchUpload(stub.bucket, keys["living"], neighbour.own))
        async with copying(of_stub(stub), tmp_path):
            while len(await noted(tmp_path)) > 1:
                await asyncio.sleep(0.01)
        assert {upload.key for upload in stub.uploads_left} == {keys["living"], keys["somebody else's"]}
        assert [upload.key for upload in await noted(tmp_path)] == [keys["living"]]


async def test_what_could_not_be_aborted_stays_noted_for_the_next_start(
    stub: LyingS3, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stub.on(does("AbortMultipartUpload"), lies.access_denied())
    async with copying(of_stub(stub), tmp_path) as crcs:
        assert await crcs.compute([put(stub, "key", 1000)]) == right(stub, "key")
    assert "a scratch upload could not be aborted" in caplog.text
    assert len(stub.uploads_left) == len(await noted(tmp_path)) == 1
    stub.stop_lying()
    async with copying(of_stub(stub), tmp_path):
        while await noted(tmp_path):
            await asyncio.sleep(0.01)
    assert stub.uploads_left == []
