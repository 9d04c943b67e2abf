"""Uploads that are never completed: what is copied into them costs no byte of ours, and S3 tells its CRC-32.

An upload is always aborted, and its key noted before it is created; so one that a crash or a lost answer left behind
is found by its key, which nobody else uses, and aborted by the next process.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from bucketzip.archive.manifest import Source
from bucketzip.errors import BucketzipError, NoSuchObject, S3Error, S3Unreachable
from bucketzip.s3.client import S3
from bucketzip.s3.copying import Target, copy_part
from bucketzip.s3.errors import crossing, reading_answer
from bucketzip.state.probes import ScratchUpload, ScratchUploads
from bucketzip.state.processes import Processes

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import CreateMultipartUploadOutputTypeDef

_log = logging.getLogger(__name__)

MOST_PARTS = 10_000
DEFAULT_PREFIX = ".bucketzip-scratch/"
ABORTS = 3
"""S3 may take up a part that was on its way while the upload was aborted; then it wants to be aborted again."""
ABORT_PAUSE_SECONDS = 1.0


class Place(NamedTuple):
    """Where scratch uploads go; without a bucket, each into the bucket of what is copied."""

    bucket: str = ""
    prefix: str = DEFAULT_PREFIX


class Upload:
    """A scratch upload that is open."""

    def __init__(self, s3: S3, bucket: str, key: str, upload_id: str) -> None:
        self._s3 = s3
        self.bucket = bucket
        self.key = key
        self.upload_id = upload_id

    async def copy(self, number: int, source: Source, part: tuple[int, int] | None = None) -> int | None:
        """Copy an object, or its bytes `[start, stop)`, as part `number`; returns the CRC-32 that S3 tells, if any."""
        target = Target(self.bucket, self.key, self.upload_id)
        return (await copy_part(self._s3, target, number, source, part)).crc

    async def part_size(self, number: int) -> int | None:
        """The size of a part by S3's list of them."""
        with crossing(f"s3://{self.bucket}/{self.key}"):
            answer = await self._s3.client.list_parts(Bucket=self.bucket, Key=self.key, UploadId=self.upload_id)
        return next((part["Size"] for part in answer.get("Parts", []) if part["PartNumber"] == number), None)


class Scratch:
    """Opens scratch uploads, and sees to it that none stays. Without `uploads` none is noted: a crash may leave one."""

    def __init__(self, s3: S3, uploads: ScratchUploads | None, processes: Processes, place: Place) -> None:
        self._s3 = s3
        self._uploads = uploads
        self._processes = processes
        self._place = place
        self._aborts: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Scratch"]:
        """Abort what dead processes left behind; at the end, wait until our own are gone."""
        sweep = asyncio.create_task(self._sweep())
        try:
            yield self
        finally:
            sweep.cancel()
            await asyncio.gather(sweep, *self._aborts, return_exceptions=True)

    def bucket_for(self, source_bucket: str) -> str:
        """The bucket that an upload for copies of a bucket's objects goes into."""
        return self._place.bucket or source_bucket

    @asynccontextmanager
    async def upload(self, source_bucket: str, *, into: str = "") -> AsyncIterator[Upload]:
        """An upload for copies of a bucket's objects, aborted at the end however that comes.

        It goes `into` a bucket, or to the place for scratch uploads.
        """
        bucket = into or self.bucket_for(source_bucket)
        noted = ScratchUpload(bucket, f"{self._place.prefix}{uuid.uuid4().hex}", self._processes.own)
        if self._uploads is not None:
            await self._uploads.begun(noted)
        upload_id, settled = "", False
        try:
            created = await self._create(noted)
            with reading_answer(f"s3://{bucket}/{noted.key}"):
                upload_id = created["UploadId"]
            yield Upload(self._s3, bucket, noted.key, upload_id)
            # A creation that was tried again may have been done twice.
            settled = not created["ResponseMetadata"]["RetryAttempts"]
        except S3Unreachable:
            raise  # whether it was created, who knows
        except BucketzipError:
            settled = not upload_id
            raise
        finally:
            # A task of its own: it is done even where whoever copies was cancelled.
            task = asyncio.create_task(self._end(noted, upload_id, settled=settled))
            self._aborts.add(task)
            task.add_done_callback(self._aborts.discard)
            await asyncio.shield(task)

    async def _create(self, upload: ScratchUpload) -> "CreateMultipartUploadOutputTypeDef":
        with crossing(f"s3://{upload.bucket}/{upload.key}"):
            return await self._s3.client.create_multipart_upload(
                Bucket=upload.bucket, Key=upload.key, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
            )

    async def _end(self, upload: ScratchUpload, upload_id: str = "", *, settled: bool = False) -> None:
        """Abort an upload, and look whether it is gone where something may have been under way (not `settled`)."""
        try:
            if upload_id:
                await self._abort(upload, upload_id)
            if not settled:
                await self._abort_all(upload)
        except BucketzipError as error:  # it stays noted, and the next start tries again
            _log.warning("a scratch upload could not be aborted: %s", error)
        else:
            if self._uploads is not None:
                await self._uploads.ended(upload)

    async def _abort(self, upload: ScratchUpload, upload_id: str) -> None:
        with contextlib.suppress(NoSuchObject), crossing(f"s3://{upload.bucket}/{upload.key}"):
            await self._s3.client.abort_multipart_upload(Bucket=upload.bucket, Key=upload.key, UploadId=upload_id)

    async def _abort_all(self, upload: ScratchUpload) -> None:
        """Abort whatever is uploaded to the key, until nothing is."""
        for turn in range(ABORTS):
            with crossing(f"s3://{upload.bucket}/{upload.key}"):
                answer = await self._s3.client.list_multipart_uploads(Bucket=upload.bucket, Prefix=upload.key)
            found = answer.get("Uploads", [])
            if not found:
                return
            for each in found:
                await self._abort(upload, each["UploadId"])
            if turn:
                await asyncio.sleep(ABORT_PAUSE_SECONDS)
        raise S3Error(f"s3://{upload.bucket}/{upload.key}: an upload does not go away")

    async def _sweep(self) -> None:
        for upload in [] if self._uploads is None else await self._uploads.all():
            if not await asyncio.to_thread(self._processes.alive, upload.process):
                await self._end(upload)
