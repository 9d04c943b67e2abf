"""Archives are put together, or it is told why not, whatever S3 answers."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from bench.certificates import make_certificate
from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import Source
from bucketzip.errors import (
    AccessDenied,
    BucketzipError,
    ContentMismatch,
    DestinationExists,
    NoSuchUpload,
    S3Error,
    S3Unreachable,
    SourceChanged,
    Unsupported,
)
from bucketzip.jobs.ports import Destination, Done, Finished, Options, Upload
from bucketzip.s3 import client, multipart, sending
from bucketzip.s3.multipart import S3Multipart
from tests.clock import Clock, standing_still
from tests.faults import lies, lies_about_checksums
from tests.faults.asked import Asked
from tests.faults.checksums import encoded
from tests.faults.content import Given, Synthetic
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import Lie, LyingS3, does
from tests.faults.store import Part
from tests.s3.reading import of_stub
from tests.s3.uploading import LEAST, MIB, REPLACE, TOKEN, complete, put, put_all, some_bytes, uploading, written

pytestmark = pytest.mark.usefixtures("no_back_off")

TO = Destination(LyingS3.bucket, "out/archive.zip")
CONTENT = some_bytes(LEAST + 1000)
BODIES = [CONTENT[:LEAST], CONTENT[LEAST:]]
MISSING = Upload(TO, "no such upload", checksums=True)


@pytest.fixture
async def uploads(stub: LyingS3, tmp_path: Path) -> AsyncIterator[S3Multipart]:
    async with uploading(of_stub(stub), tmp_path) as made:
        yield made


def source(stub: LyingS3, key: str, size: int = 6 * MIB) -> Source:
    stored = stub.objects.put(key, Synthetic(size, 1))
    return Source(stub.bucket, key, stored.etag, stored.version_id or "")


def asked_for(stub: LyingS3, operation: str) -> list[Asked]:
    return [asked for asked in stub.requests if asked.operation == operation]


def stands(stub: LyingS3) -> bytes | None:
    found = stub.objects.find(TO.key, None)
    return found.content.read(0, found.content.size) if found is not None else None


def not_done(asked: Asked, honest: Reply) -> Reply:
    return replace(honest, effect=lambda: None)


# What is asked


async def test_every_option_is_told(stub: LyingS3, uploads: S3Multipart) -> None:
    options = Options(
        storage_class="GLACIER_IR",
        sse="aws:kms",
        kms_key="arn:aws:kms:eu-west-1:111122223333:key/1",
        acl="bucket-owner-full-control",
        content_type="application/x-zip",
        tags=(("a b", "c+d"), ("e", "")),
        metadata=(("made-for", "somebody"),),
    )
    await uploads.create(TO, options, TOKEN)
    (asked,) = asked_for(stub, "CreateMultipartUpload")
    told = {name.lower(): value for name, value in asked.headers.items() if name.lower().startswith("x-amz-")}
    assert (
        told.items()
        >= {
            "x-amz-storage-class": "GLACIER_IR",
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-west-1:111122223333:key/1",
            "x-amz-acl": "bucket-owner-full-control",
            "x-amz-tagging": "a%20b=c%2Bd&e=",
            "x-amz-meta-made-for": "somebody",
            "x-amz-meta-bucketzip-job": TOKEN,
            "x-amz-checksum-algorithm": "CRC32",
            "x-amz-checksum-type": "FULL_OBJECT",
        }.items()
    )
    assert asked.headers["Content-Type"] == "application/x-zip"


async def test_what_is_no_option_is_left_to_s3(stub: LyingS3, uploads: S3Multipart) -> None:
    await uploads.create(TO, Options(), TOKEN)
    (asked,) = asked_for(stub, "CreateMultipartUpload")
    told = " ".join(asked.headers).lower()
    assert not [name for name in ("acl", "tagging", "storage-class", "encryption") if name in told]


async def test_s3_is_told_all_that_it_can_check(stub: LyingS3, uploads: S3Multipart) -> None:
    upload = await uploads.create(TO, Options(), TOKEN)
    parts = await put_all(uploads, upload, BODIES)
    assert [asked.headers["x-amz-checksum-crc32"] for asked in asked_for(stub, "UploadPart")] == [
        encoded(crc32(body)) for body in BODIES
    ]
    finished = await complete(uploads, upload, parts, CONTENT, Options(if_exists="fail"))
    (asked,) = asked_for(stub, "CompleteMultipartUpload")
    assert asked.headers["x-amz-checksum-crc32"] == encoded(crc32(CONTENT))
    assert asked.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert asked.headers["x-amz-mp-object-size"] == str(len(CONTENT))
    assert asked.headers["If-None-Match"] == "*"
    assert asked.body.count(b"<ChecksumCRC32>") == 2
    stored = stub.objects.find(TO.key, None)
    assert stored is not None
    assert finished == Finished(stored.etag.strip('"'), len(CONTENT), "", crc32(CONTENT))


async def test_and_nothing_where_it_keeps_no_crc_of_a_whole_object(stub: LyingS3, uploads: S3Multipart) -> None:
    stub.on(does("CreateMultipartUpload"), lies.header("x-amz-checksum-type", None), times=1)
    finished = await written(uploads, TO, CONTENT, REPLACE)
    assert finished.crc is None
    assert stands(stub) == CONTENT
    assert stub.uploads_left == [], "the one that would have got a checksum of checksums"
    last = [asked for asked in stub.requests if asked.operation != "ListParts"][-5:]
    assert [asked.operation for asked in last] == [
        "AbortMultipartUpload", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject"
    ]  # fmt: skip
    assert not [name for asked in last[1:4] for name in asked.headers if "x-amz-checksum" in name.lower()]
    assert b"Checksum" not in last[3].body
    assert "If-None-Match" not in last[3].headers


async def test_a_bucket_that_wants_other_signatures_is_refused(stub: LyingS3, uploads: S3Multipart) -> None:
    with pytest.raises(Unsupported, match="directory buckets"):
        await uploads.create(TO._replace(bucket="b--use1-az4--x-s3"), REPLACE, TOKEN)
    assert stub.requests == []


# Copies


async def test_a_copy_is_of_the_version_that_was_planned(stub: LyingS3, uploads: S3Multipart) -> None:
    stub.versioned = True
    planned = source(stub, "key")
    stub.objects.put("key", b"new")
    upload = await uploads.create(TO, REPLACE, TOKEN)
    content = Synthetic(6 * MIB, 1)
    for part, whole in ((1, 1 + LEAST), False), ((0, content.size), True):
        done = await uploads.copy(upload, 1, planned, part, whole=whole)
        body = content.read(*part)
        assert (done.size, done.crc) == (len(body), crc32(body))
        assert await uploads.listed(upload) == {1: {(done.etag, done.size)}}
    ranges = [asked.headers.get("x-amz-copy-source-range") for asked in asked_for(stub, "UploadPartCopy")]
    assert ranges == [f"bytes=1-{LEAST}", None]


async def test_a_source_that_changed_is_named(stub: LyingS3, uploads: S3Multipart) -> None:
    planned = source(stub, "key")
    stub.objects.put("key", b"new")
    upload = await uploads.create(TO, REPLACE, TOKEN)
    with pytest.raises(SourceChanged, match="s3://stub/key"):
        await uploads.copy(upload, 1, planned, (0, 6 * MIB), whole=True)


COPY_LIES: dict[str, tuple[Lie, type[BucketzipError], str]] = {
    "no CRC": (lies_about_checksums.copy_without_crc(), Unsupported, "s3://stub/key: S3 tells no CRC-32"),
    "denied": (
        lies.access_denied(),
        AccessDenied,
        r"s3:GetObject on it and s3:PutObject on s3://stub/out/archive\.zip",
    ),
    "an error in a 200": (lies_about_checksums.error_with_200(), S3Error, "InternalError"),
    "denied in a 200": (lies_about_checksums.error_with_200("AccessDenied"), AccessDenied, "s3://stub/key"),
}


@pytest.mark.parametrize("lie", COPY_LIES)
async def test_a_copy_that_fails(stub: LyingS3, uploads: S3Multipart, lie: str) -> None:
    tell, kind, said = COPY_LIES[lie]
    stub.on(does("UploadPartCopy"), tell)
    upload = await uploads.create(TO, REPLACE, TOKEN)
    with pytest.raises(kind, match=said):
        await uploads.copy(upload, 1, source(stub, "key"), (0, 6 * MIB), whole=True)


async def test_answers_that_tell_too_little_are_errors_of_s3(stub: LyingS3, uploads: S3Multipart) -> None:
    stub.on(does("CreateMultipartUpload"), lies.edited(("<UploadId>.*</UploadId>", "")), times=1)
    stub.on(does("UploadPart"), lies.header("ETag", None))
    stub.on(does("ListParts"), lies.edited(("<Size>[^<]*</Size>", "")))
    with pytest.raises(S3Error, match=r"s3://stub/out/archive\.zip: S3 sent an answer without 'UploadId'"):
        await uploads.create(TO, REPLACE, TOKEN)
    upload = await uploads.create(TO, REPLACE, TOKEN)
    with pytest.raises(S3Error, match="without 'ETag'"):
        await uploads.put(upload, 1, memoryview(b"x"), crc32(b"x"))
    with pytest.raises(S3Error, match="without 'Size'"):
        await uploads.listed(upload)


async def test_a_copy_to_an_upload_that_is_gone_does_not_blame_the_source(stub: LyingS3, uploads: S3Multipart) -> None:
    with pytest.raises(NoSuchUpload, match=r"s3://stub/out/archive\.zip: The upload is gone"):
        await uploads.copy(MISSING, 1, source(stub, "key"), (0, 6 * MIB), whole=True)


async def test_copies_are_proven_where_they_will_go(stub: LyingS3, tmp_path: Path) -> None:
    sample = source(stub, "key")
    async with uploading(of_stub(stub), tmp_path, bucket="elsewhere", prefix="tmp/of/ours/") as uploads:
        assert await uploads.may_copy(sample, 6 * MIB, TO) == (True, "")
        assert await uploads.may_copy(sample, 6 * MIB, TO) == (True, "")
    copies = asked_for(stub, "UploadPartCopy")
    assert [(each.bucket, each.key.startswith("tmp/of/ours/")) for each in copies] == [(TO.bucket, True)] * 2
    assert stub.uploads_left == []


async def test_why_copies_are_not_proven_is_told(stub: LyingS3, uploads: S3Multipart) -> None:
    stub.on(does("UploadPartCopy"), lies_about_checksums.wrong_copy_crc())
    proof = await uploads.may_copy(source(stub, "key"), 6 * MIB, TO)
    assert proof == (False, "S3 tells a wrong CRC-32 of a copied part")


# Parts


@pytest.mark.parametrize("size", [1, sending.PIECE_BYTES, 3 * sending.PIECE_BYTES + 1])
async def test_a_part_arrives_as_it_is(stub: LyingS3, uploads: S3Multipart, size: int) -> None:
    upload = await uploads.create(TO, REPLACE, TOKEN)
    stub.on(does("UploadPart"), lies.internal_error(), times=1)
    body = bytearray(some_bytes(size))
    done = await uploads.put(upload, 7, memoryview(body), crc32(body))
    assert [asked.body for asked in asked_for(stub, "UploadPart")] == [body, body], "again from its start"
    assert await uploads.listed(upload) == {7: {(done.etag, size)}}
    assert done == Done(done.etag, size, crc32(body))


async def test_what_arrived_otherwise_is_sent_once_more(stub: LyingS3, uploads: S3Multipart) -> None:
    upload = await uploads.create(TO, REPLACE, TOKEN)
    stub.on(does("UploadPart"), lies.refuse(400, "BadDigest"), times=1)
    await put(uploads, upload, 1, b"content")
    assert stub.counts["UploadPart"] == 2
    with pytest.raises(ContentMismatch, match="BadDigest"):
        await uploads.put(upload, 2, memoryview(b"content"), crc32(b"another"))
    assert stub.counts["UploadPart"] == 4


@pytest.mark.parametrize(("tls", "signed"), [(False, "of the content"), (True, "UNSIGNED-PAYLOAD")])
async def test_nothing_is_hashed_where_tls_and_a_crc_protect_it(tmp_path: Path, signed: str, *, tls: bool) -> None:
    certificate = make_certificate(tmp_path / "files")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    async with LyingS3(ssl_context=context if tls else None) as stub:
        environment = {**of_stub(stub), "AWS_CA_BUNDLE": str(certificate.authority)}
        async with uploading(environment, tmp_path) as uploads:
            upload = await uploads.create(TO, REPLACE, TOKEN)
            await put(uploads, upload, 1, b"content")
            without = stub.begin_upload(TO.key)
            await put(uploads, Upload(TO, without.upload_id, checksums=False), 1, b"content")
    of_content = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    told = [asked.headers["x-amz-content-sha256"] for asked in asked_for(stub, "UploadPart")]
    assert told == [of_content if signed == "of the content" else signed, of_content]


class Taker:
    """A server that reads one request piece by piece, as the test lets it: `take` returns when it has a piece more.

    A piece is more than the kernel holds, so the client has to move for it.
    """

    piece_bytes = 4 * MIB

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._may = asyncio.Semaphore(0)
        self._taken_bytes = 0
        self._over = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # it was given up
            while self._taken_bytes < length:
                await self._may.acquire()
                self._taken_bytes += len(await reader.readexactly(min(length - self._taken_bytes, self.piece_bytes)))
            writer.write(b'HTTP/1.1 200 OK\r\nETag: "slow"\r\nContent-Length: 0\r\n\r\n')
        writer.close()
        self._over = True

    async def take(self) -> None:
        wanted = self._taken_bytes + self.piece_bytes
        self._may.release()
        await self._clock.until(lambda: self._taken_bytes == wanted)

    async def over(self) -> None:
        """Take what there still is of a request that was given up, and wait for its end."""
        for _ in range(100):
            self._may.release()
        await self._clock.until(lambda: self._over)


@asynccontextmanager
async def slowly_taken(tmp_path: Path, size: int) -> AsyncIterator[tuple[asyncio.Task[Done], Taker, Clock]]:
    """A part on its way, by a clock that stands."""
    with standing_still() as clock:
        taker = Taker(clock)
        async with await asyncio.start_server(taker.serve, "127.0.0.1", 0) as server:
            (listening,) = server.sockets
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)  # else the kernel takes megabytes
            endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
            environment = {"AWS_ENDPOINT_URL_S3": endpoint, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
            async with uploading(environment, tmp_path) as uploads:
                yield asyncio.create_task(uploads.put(MISSING, 1, memoryview(bytes(size)), 0)), taker, clock
            await taker.over()


async def test_a_server_that_takes_no_bytes_is_given_up(tmp_path: Path) -> None:
    async with slowly_taken(tmp_path, 32 * MIB) as (part, taker, clock):
        await taker.take()
        began = clock.now
        while not part.done():
            await clock.jump(multipart.STALL_SECONDS / 10)
        assert clock.now - began >= multipart.STALL_SECONDS * 0.9
        with pytest.raises(S3Unreachable, match=r"s3://stub/out/archive\.zip: TimeoutError"):
            await part


async def test_a_part_that_moves_on_may_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "STALL_SECONDS", client.READ_TIMEOUT_SECONDS * 0.6)
    async with slowly_taken(tmp_path, 32 * MIB) as (part, taker, clock):
        began = clock.now
        await taker.take()
        for _ in range(7):
            await clock.jump(multipart.STALL_SECONDS / 4)
            await taker.take()
        assert await part == Done("slow", 32 * MIB, 0)
        assert clock.now - began > multipart.STALL_SECONDS


async def test_all_of_many_parts_are_listed(stub: LyingS3, uploads: S3Multipart) -> None:
    begun = stub.begin_upload(TO.key, "FULL_OBJECT")
    begun.parts.update({number: Part(Given(b"%d" % number)) for number in range(1, 2502)})
    listed = await uploads.listed(Upload(TO, begun.upload_id, checksums=True))
    expected = {number: {(part.etag.strip('"'), part.content.size)} for number, part in begun.parts.items()}
    assert listed == expected
    assert stub.counts["ListParts"] == 3


async def test_parts_without_an_etag_are_listed_so(stub: LyingS3, uploads: S3Multipart) -> None:
    upload = await uploads.create(TO, REPLACE, TOKEN)
    await put(uploads, upload, 1, b"content")
    stub.on(does("ListParts"), lies_about_checksums.parts_without_etag())
    assert await uploads.listed(upload) == {1: {("", 7)}}


async def test_uploads_are_found_by_their_exact_key(stub: LyingS3, uploads: S3Multipart) -> None:
    ours = [stub.begin_upload(TO.key).upload_id for _ in range(1002)]
    for key in (f"{TO.key}2", "out/archive", "out/archive.zi"):
        stub.begin_upload(key)
    assert sorted(await uploads.find(TO, 0)) == sorted(ours)
    assert await uploads.find(TO._replace(key="out/arch"), 0) == []


@pytest.mark.parametrize("ahead_seconds", [0, 3600, -3600])
async def test_and_by_when_they_were_begun_in_spite_of_a_wrong_clock(
    stub: LyingS3, uploads: S3Multipart, ahead_seconds: int
) -> None:
    """S3 tells it by its own clock, and what time it is."""
    there = datetime.now(UTC) + timedelta(seconds=ahead_seconds)
    for minutes in (-10, -1, 0):
        stub.begin_upload(TO.key).initiated = there + timedelta(minutes=minutes)
    stub.on(does("ListMultipartUploads"), lies.header("Date", format_datetime(there, usegmt=True)))
    _, *later = (upload.upload_id for upload in stub.uploads_left)
    assert sorted(await uploads.find(TO, time.time() - 90)) == sorted(later)


# Completion


COMPLETED: dict[str, Callable[[], Lie]] = {
    "an error": lambda: lies.done_but(lies.internal_error()),
    "no answer": lambda: lies.done_but(lies.cut_short(0)),
    "an error in a 200": lambda: lies.done_but(lies_about_checksums.error_with_200()),
    "spaces while it took its time": lambda: lies.edited((r"\A", " \n  ")),
    "an error of a condition that it does not hold any more": lambda: lies.done_but(
        lies.refuse(412, "PreconditionFailed")
    ),
}


@pytest.mark.parametrize("times", [1, None])
@pytest.mark.parametrize("answer", COMPLETED)
async def test_an_answer_that_was_lost(stub: LyingS3, uploads: S3Multipart, answer: str, times: int | None) -> None:
    upload = await uploads.create(TO, REPLACE, TOKEN)
    parts = await put_all(uploads, upload, BODIES)
    stub.on(does("CompleteMultipartUpload"), COMPLETED[answer](), times=1)
    if times is None:  # and it stays away
        stub.on(does("CompleteMultipartUpload"), lies.internal_error(), skip=1)
    finished = await complete(uploads, upload, parts, CONTENT, Options(if_exists="fail"))
    assert (finished.size, finished.crc) == (len(CONTENT), crc32(CONTENT))
    assert stands(stub) == CONTENT


async def test_an_error_in_a_200_is_asked_again(stub: LyingS3, uploads: S3Multipart) -> None:
    stub.on(does("CompleteMultipartUpload"), lies_about_checksums.error_with_200(), times=2)
    await written(uploads, TO, CONTENT)
    assert stub.counts["CompleteMultipartUpload"] == 3
    assert stands(stub) == CONTENT


NOT_COMPLETED: dict[str, tuple[Lie, type[BucketzipError]]] = {
    "an error": (lies.internal_error(), S3Error),
    "an error in a 200": (lies_about_checksums.error_with_200(), S3Error),
    "denied": (lies.access_denied(), AccessDenied),
    "a wrong CRC": (lies.refuse(400, "BadDigest"), ContentMismatch),
    "something is there": (lies.refuse(412, "PreconditionFailed"), DestinationExists),
}


@pytest.mark.parametrize("seen", ["", "another's", "hidden"])
@pytest.mark.parametrize("lie", NOT_COMPLETED)
async def test_what_is_not_completed_is_told(stub: LyingS3, uploads: S3Multipart, lie: str, seen: str) -> None:
    tell, kind = NOT_COMPLETED[lie]
    if seen == "another's":
        stub.objects.put(TO.key, CONTENT, crc="full")
    if seen == "hidden":
        stub.on(does("HeadObject"), lies.access_denied())
    upload = await uploads.create(TO, REPLACE, TOKEN)
    parts = await put_all(uploads, upload, BODIES)
    stub.on(does("CompleteMultipartUpload"), tell)
    with pytest.raises(kind) as caught:
        await complete(uploads, upload, parts, CONTENT)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(TO.url)
    assert [left.upload_id for left in stub.uploads_left] == [upload.upload_id]


async def test_an_upload_that_is_gone_without_an_object(stub: LyingS3, uploads: S3Multipart) -> None:
    with pytest.raises(NoSuchUpload):
        await complete(uploads, MISSING, [(1, Done("0" * 32, 1, 0))], b"1")


async def test_whether_it_was_completed_may_be_known_later(stub: LyingS3, uploads: S3Multipart) -> None:
    upload = await uploads.create(TO, REPLACE, TOKEN)
    parts = await put_all(uploads, upload, BODIES)
    stub.on(does("HeadObject"), lies.internal_error())
    for _ in range(2):
        with pytest.raises(S3Error):
            await complete(uploads, upload, parts, CONTENT)
    stub.stop_lying()
    assert (await complete(uploads, upload, parts, CONTENT)).crc == crc32(CONTENT)


WRONG: dict[str, tuple[str, str]] = {
    "shorter": ("Content-Length", "1"),
    "other bytes": ("x-amz-checksum-crc32", encoded(1)),
    "somebody else's": ("x-amz-meta-bucketzip-job", "another token"),
}


@pytest.mark.parametrize("answer", ["well", "lost"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_there_is_looked_at(stub: LyingS3, uploads: S3Multipart, wrong: str, answer: str) -> None:
    stub.on(does("HeadObject"), lies.header(*WRONG[wrong]))
    if answer == "lost":
        stub.on(does("CompleteMultipartUpload"), lies.done_but(lies.internal_error()), times=1)
    kind = NoSuchUpload if (wrong, answer) == ("somebody else's", "lost") else ContentMismatch
    with pytest.raises(kind, match=TO.url):
        await written(uploads, TO, CONTENT)


async def test_an_object_that_vanished_at_once(stub: LyingS3, uploads: S3Multipart) -> None:
    stub.on(does("HeadObject"), lies.refuse(404, "NoSuchKey"))
    with pytest.raises(ContentMismatch, match="is not what is there now"):
        await written(uploads, TO, CONTENT)


async def test_copying_and_completing_may_take_long(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT_SECONDS", 2.0)
    for operation in ("UploadPartCopy", "CompleteMultipartUpload"):
        stub.on(does(operation), lies.slow_first_byte(5))
    planned = source(stub, "key")
    content = Synthetic(6 * MIB, 1).read(0, 6 * MIB)

    async def made(uploads: S3Multipart) -> None:
        upload = await uploads.create(TO, REPLACE, TOKEN)
        done = await uploads.copy(upload, 1, planned, (0, 6 * MIB), whole=True)
        await complete(uploads, upload, [(1, done)], content)

    async with uploading(of_stub(stub), tmp_path) as uploads:
        with standing_still() as clock:
            making = asyncio.create_task(made(uploads))
            await clock.run(making.done, idle=lambda: stub.pausing > 0)
            await making
    assert (stub.counts["UploadPartCopy"], stub.counts["CompleteMultipartUpload"]) == (1, 1)


async def test_what_is_there_now(stub: LyingS3, uploads: S3Multipart) -> None:
    assert await uploads.look(TO) is None
    stub.versioned = True
    stored = stub.objects.put(TO.key, CONTENT, crc="composite", part_bytes=LEAST)
    assert await uploads.look(TO) == Finished(stored.etag.strip('"'), len(CONTENT), stored.version_id or "", None)
    stub.on(does("HeadObject"), lies.access_denied())
    with pytest.raises(AccessDenied, match=r"s3:ListBucket"):
        await uploads.look(TO)


# Abort


async def test_a_part_that_came_while_it_was_aborted(
    stub: LyingS3, uploads: S3Multipart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "ABORT_PAUSE_SECONDS", 0.01)
    upload = await uploads.create(TO, REPLACE, TOKEN)
    await put(uploads, upload, 1, b"content")
    stub.on(does("AbortMultipartUpload"), not_done, times=1)
    await uploads.abort(upload)
    assert stub.uploads_left == []
    assert stub.counts["AbortMultipartUpload"] == 2


async def test_an_upload_that_does_not_go_away(
    stub: LyingS3, uploads: S3Multipart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "ABORT_PAUSE_SECONDS", 0.01)
    upload = await uploads.create(TO, REPLACE, TOKEN)
    await put(uploads, upload, 1, b"content")
    stub.on(does("AbortMultipartUpload"), not_done)
    with pytest.raises(S3Error, match=f"{upload.upload_id} does not go away"):
        await uploads.abort(upload)


async def test_an_upload_that_is_gone_already(stub: LyingS3, uploads: S3Multipart) -> None:
    await uploads.abort(MISSING)
    stub.on(does("AbortMultipartUpload"), lies.access_denied())
    with pytest.raises(AccessDenied, match="s3:AbortMultipartUpload"):
        await uploads.abort(MISSING)
