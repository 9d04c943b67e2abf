"""Where CRCs come from, seen from outside: what the answer tells, what a lie of the store does, and what stays."""

import io
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bucketzip.s3 import scratch
from tests.faults import lies, lies_about_checksums
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import Lie, LyingS3, does, heads
from tests.readers.readers import ArchiveReaders
from tests.s3.reading import eventually
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20
KEYS = {
    "composite": 2,
    "empty": 3,
    "none": 4,
    "small": 5,
    "stored": 6,
}


@pytest.fixture
def start(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    @asynccontextmanager
    async def process(**settings: Any) -> AsyncIterator[Server]:
        async with serving(
            stub_environment(stub.endpoint_url), tmp_path / "state", monkeypatch, s3_tries=3, **settings
        ) as running:
            yield running

    return process


def fill(stub: LyingS3) -> None:
    stub.objects.put("composite", Synthetic(20 * MIB, KEYS["composite"]), crc="composite", part_bytes=7 * MIB)
    stub.objects.put("empty", b"")
    stub.objects.put("none", Synthetic(10 * MIB + 1, KEYS["none"]))
    stub.objects.put("small", Synthetic(1000, KEYS["small"]), crc="full")
    stub.objects.put("stored", Synthetic(9 * MIB, KEYS["stored"]), crc="full")


def check(stub: LyingS3, archive: bytes) -> zipfile.ZipFile:
    opened = zipfile.ZipFile(io.BytesIO(archive))
    for name in opened.namelist():
        stored = stub.objects.find(name, None)
        assert stored is not None
        assert opened.read(name) == stored.content.read(0, stored.content.size)
    return opened


async def ask(server: Server, url: str = "s3://stub/") -> dict[str, Any]:
    status, answer = await server.ask(url)
    assert status == 201, answer
    return answer


async def test_the_answer_tells_each_way(
    stub: LyingS3, start: Callable[..., Any], archive_readers: ArchiveReaders, tmp_path: Path
) -> None:
    fill(stub)
    async with start() as server:
        first = await ask(server)
        assert first["crc"] == {"stored": 1, "rebuilt": 1, "cached": 0, "copied": 1, "computed": 1}
        assert first["pinned"] == {"version": 0, "etag": 5}
        assert stub.uploads_left == []
        archive = await server.fetch(first["url"])
        opened = check(stub, archive)
        assert not [info.filename for info in opened.infolist() if info.flag_bits & 8], "it has no descriptors"
        await server.idle()
        copies = stub.counts["UploadPartCopy"]
        second = await ask(server)
        assert second["crc"] == {"stored": 1, "rebuilt": 1, "cached": 1, "copied": 0, "computed": 1}
        assert second["etag"] == first["etag"]
        assert stub.counts["UploadPartCopy"] == copies, "nothing is copied twice"
        assert await server.metric("bucketzip_planned_crcs_total") == 8
        assert await server.metric("bucketzip_s3_api_requests_total") > 10
    (tmp_path / "a.zip").write_bytes(archive)
    contents = {name: opened.read(name) for name in opened.namelist()}
    archive_readers.assert_opens_everywhere(tmp_path / "a.zip", contents, java_stream=True)


async def test_without_scratch_uploads(stub: LyingS3, start: Callable[..., Any]) -> None:
    fill(stub)
    async with start(scratch="off") as server:
        answer = await ask(server)
        assert answer["crc"] == {"stored": 1, "rebuilt": 1, "cached": 0, "copied": 0, "computed": 2}
        assert not stub.counts["CreateMultipartUpload"]
        opened = check(stub, await server.fetch(answer["url"]))
        assert [info.filename for info in opened.infolist() if info.flag_bits & 8] == ["none"]


async def test_what_is_too_much_to_copy_for_a_plan_is_copied_for_a_slice(
    stub: LyingS3, start: Callable[..., Any]
) -> None:
    fill(stub)
    async with start(scratch_bytes=0) as server:
        answer = await ask(server)
        assert answer["crc"]["copied"] == 0
        tail = answer["bytes"] - 100
        async with server.client.get(answer["url"], headers={"Range": f"bytes={tail}-"}) as part:
            assert part.status == 206
            last = await part.read()
        assert not [asked for asked in stub.requests if asked.operation == "GetObject" and asked.key == "stored"]
        assert not [asked for asked in stub.requests if asked.operation == "GetObject" and asked.key == "none"]
        archive = await server.fetch(answer["url"])
        assert archive.endswith(last)
        check(stub, archive)
    assert stub.uploads_left == []


@pytest.mark.parametrize(
    ("operation", "lie"),
    [
        ("UploadPartCopy", lambda _: lies_about_checksums.copy_without_crc()),
        ("UploadPartCopy", lies_about_checksums.copy_crc_of_whole_source),
        ("UploadPartCopy", lies_about_checksums.copies_nothing),
        ("CreateMultipartUpload", lambda _: lies.access_denied()),
        ("CreateMultipartUpload", lambda _: lies.not_implemented()),
    ],
)
async def test_a_store_that_does_not_copy_rightly_is_not_asked_to(
    stub: LyingS3, start: Callable[..., Any], operation: str, lie: Callable[[LyingS3], Lie]
) -> None:
    fill(stub)
    stub.on(does(operation), lie(stub))
    async with start() as server:
        answer = await ask(server)
        assert answer["crc"]["copied"] == 0
        check(stub, await server.fetch(answer["url"]))
    assert stub.counts["CreateMultipartUpload"] <= 1
    assert stub.uploads_left == []


LATE_LIES: dict[str, Callable[[LyingS3], None]] = {
    "a wrong CRC of a copy": lambda stub: stub.on(
        does("UploadPartCopy"), lies_about_checksums.wrong_copy_crc(), skip=2
    ),
    "a composite told as full": lambda stub: stub.on(heads("composite"), lies_about_checksums.composite_told_as_full()),
    "a wrong CRC of a part": lambda stub: stub.on(
        does("GetObjectAttributes"),
        lies.edited(("<ChecksumCRC32>[^<]*</ChecksumCRC32>", "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")),
    ),
}


@pytest.mark.parametrize("lie", LATE_LIES)
async def test_a_lie_that_shows_only_in_the_bytes_breaks_one_download_and_spoils_no_other(
    stub: LyingS3, start: Callable[..., Any], lie: str
) -> None:
    fill(stub)
    LATE_LIES[lie](stub)
    async with start() as server:
        wrong = await ask(server)
        with pytest.raises(aiohttp.ClientPayloadError):
            await server.fetch(wrong["url"])
        status, error = await server.error(wrong["url"])
        assert (status, error["error"]) == (502, "content_mismatch")
        assert "ask for the archive anew" in error["detail"]
        right = await ask(server)
        assert right["etag"] != wrong["etag"], "no client may put parts of both together"
        check(stub, await server.fetch(right["url"]))


async def test_a_small_object_with_a_wrong_stored_crc(stub: LyingS3, start: Callable[..., Any]) -> None:
    """It is held until it is read, so that nothing of the archive goes out."""
    fill(stub)
    stub.on(heads("small"), lies.header("x-amz-checksum-crc32", "AAAAAA=="))
    async with start() as server:
        wrong = await ask(server, "s3://stub/small")
        assert wrong["crc"]["stored"] == 1
        status, error = await server.error(wrong["url"])
        assert (status, error["error"]) == (502, "content_mismatch")
        right = await ask(server, "s3://stub/small")
        assert right["crc"]["computed"] == 1
        assert right["etag"] != wrong["etag"]
        check(stub, await server.fetch(right["url"]))


async def test_nothing_stays_of_a_plan_that_the_end_of_the_server_cut_off(
    stub: LyingS3, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "ABORT_PAUSE_SECONDS", 0.01)
    for number in range(5):
        stub.objects.put(f"{number}", Synthetic(9 * MIB, number))
    stub.on(does("UploadPartCopy"), lies.slow_first_byte(30), skip=2)
    async with start(planning_wait_seconds=0) as server:
        await server.ask("s3://stub/")
        await eventually(lambda: stub.counts["UploadPartCopy"] > 3)
    assert stub.uploads_left == []


async def test_versions_keep_a_link_working(stub: LyingS3, start: Callable[..., Any]) -> None:
    stub.versioned = True
    for key in ("a", "b"):
        stub.objects.put(key, Synthetic(9 * MIB, ord(key)))
    async with start() as server:
        answer = await ask(server)
        assert answer["pinned"] == {"version": 2, "etag": 0}
        before = await server.fetch(answer["url"])
        stub.objects.put("a", b"something else")
        stub.objects.delete("b")
        assert await server.fetch(answer["url"]) == before
        after = await ask(server)
        assert after["etag"] != answer["etag"]
        assert check(stub, await server.fetch(after["url"])).namelist() == ["a"]


async def test_where_versions_may_not_be_read_a_change_is_told(stub: LyingS3, start: Callable[..., Any]) -> None:
    stub.versioned = True
    stub.objects.put("a", Synthetic(9 * MIB, 1))
    stub.on(lambda asked: "versionId" in asked.query, lies.access_denied())
    async with start() as server:
        answer = await ask(server)
        assert answer["pinned"] == {"version": 0, "etag": 1}
        stub.objects.put("a", b"something else")
        status, error = await server.error(answer["url"])
        assert (status, error["error"]) == (409, "source_changed")
