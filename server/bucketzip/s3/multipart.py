"""Uploads that become archives."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from bucketzip.archive.manifest import Source
from bucketzip.errors import ContentMismatch, NoSuchBucket, NoSuchObject, NoSuchUpload, S3Error, Unsupported
from bucketzip.jobs.ports import CopyProof, Destination, Done, Finished, Follow, Made, Options, Upload
from bucketzip.jobs.widths import BUILDS_AT_ONCE, COMPRESSED_AT_ONCE, COPIES_AT_ONCE
from bucketzip.s3.checksums import written
from bucketzip.s3.client import S3, refuse_unsupported
from bucketzip.s3.completing import METADATA_KEY, WRITING, Meant, complete, standing
from bucketzip.s3.copying import Target, copy_part
from bucketzip.s3.errors import crossing, reading_answer
from bucketzip.s3.gate import Gate
from bucketzip.s3.presigning import signed_url
from bucketzip.s3.probe import Prober
from bucketzip.s3.scratch import ABORT_PAUSE_SECONDS, ABORTS
from bucketzip.s3.sending import PartBody

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import CreateMultipartUploadOutputTypeDef, ResponseMetadataTypeDef

STALL_SECONDS = 120.0
"""For one piece of a part to go out, or for its answer to come; botocore's own tries and pauses among it."""
CLOCK_SECONDS = 3.0
"""S3 tells whole seconds, of when it began an upload and of what time it is, and takes a moment to say so."""
PARTS_AT_ONCE = COPIES_AT_ONCE + BUILDS_AT_ONCE + COMPRESSED_AT_ONCE
"""To one bucket, by all jobs together; fewer where S3 says SlowDown."""
UPLOADS = "s3:ListMultipartUploadParts and s3:AbortMultipartUpload on it"


class S3Multipart:
    """Implements `jobs.ports.Multipart`."""

    def __init__(self, s3: S3, prober: Prober) -> None:
        self._s3 = s3
        self._prober = prober
        self._gates = defaultdict[str, Gate](lambda: Gate(PARTS_AT_ONCE))

    @property
    def parts_limit(self) -> int:
        """Parts that may be under way to a bucket, where that is least."""
        return min((gate.limit for gate in self._gates.values()), default=PARTS_AT_ONCE)

    async def create(self, destination: Destination, options: Options, token: str) -> Upload:
        """By the port. Where S3 keeps no CRC-32 of a whole object, it is asked to check nothing."""
        refuse_unsupported(destination.bucket)
        with reading_answer(destination.url):
            return await self._begin(destination, options, token)

    async def _begin(self, destination: Destination, options: Options, token: str) -> Upload:
        retried = 0
        created = await self._create(destination, options, token, checksums=True)
        told = created.get("ChecksumAlgorithm"), created.get("ChecksumType")
        upload = Upload(destination, created["UploadId"], told == ("CRC32", "FULL_OBJECT"))
        if not upload.checksums and told[0]:  # it would get a checksum of checksums, and want one with every part
            await self.abort(upload)
            retried += created["ResponseMetadata"]["RetryAttempts"]
            created = await self._create(destination, options, token, checksums=False)
            upload = upload._replace(upload_id=created["UploadId"])
        retried += created["ResponseMetadata"]["RetryAttempts"]
        return upload._replace(perhaps_twice=retried > 0)

    async def _create(
        self, destination: Destination, options: Options, token: str, *, checksums: bool
    ) -> "CreateMultipartUploadOutputTypeDef":
        asked = _asked(destination, options, token)
        if checksums:
            asked.update(ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        with crossing(destination.url, allow=WRITING):
            return await self._s3.client.create_multipart_upload(**asked)

    async def find(self, destination: Destination, since: float) -> list[str]:
        """By the port. One of which S3 tells no time is none of them."""
        pages = self._s3.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=destination.bucket, Prefix=destination.key
        )
        with crossing(destination.url, allow=f"s3:ListBucketMultipartUploads on s3://{destination.bucket}"):
            return [
                upload["UploadId"]
                async for page in pages
                for upload in page.get("Uploads", [])
                if upload["Key"] == destination.key
                and "Initiated" in upload
                and upload["Initiated"].timestamp() >= _by_s3(since, page["ResponseMetadata"]) - CLOCK_SECONDS
            ]

    async def copy(self, upload: Upload, number: int, source: Source, part: tuple[int, int], *, whole: bool) -> Done:
        """By the port."""
        start, stop = part
        to = Target(*upload.destination, upload.upload_id)
        async with self._gates[to.bucket].turn():
            copied = await copy_part(self._s3, to, number, source, None if whole else part)
        if copied.crc is None:
            raise Unsupported(f"s3://{source.bucket}/{source.key}: S3 tells no CRC-32 of a copied part")
        return Done(copied.etag, stop - start, copied.crc)

    async def put(self, upload: Upload, number: int, body: memoryview, crc: int) -> Done:
        """By the port. The body must not change meanwhile; what arrived otherwise is sent once more."""
        try:
            etag = await self._put(upload, number, body, crc)
        except ContentMismatch:
            etag = await self._put(upload, number, body, crc)
        return Done(etag, len(body), crc)

    async def _put(self, upload: Upload, number: int, body: memoryview, crc: int) -> str:
        loop = asyncio.get_running_loop()

        def moved() -> None:
            if not stall.expired():
                stall.reschedule(loop.time() + STALL_SECONDS)

        asked = {**_named(upload), "PartNumber": number, "Body": PartBody(body, moved)}
        if upload.checksums:
            asked["ChecksumCRC32"] = written(crc)
        async with self._gates[upload.destination.bucket].turn():
            with crossing(upload.destination.url, allow=WRITING):
                async with asyncio.timeout(STALL_SECONDS) as stall:  # the client's own begins when all was sent
                    answer = await self._s3.client.upload_part(**asked)
        with reading_answer(upload.destination.url):
            return answer["ETag"].strip('"')

    async def listed(self, upload: Upload) -> dict[int, set[tuple[str, int]]]:
        """By the port; raises NoSuchUpload, which may also mean that it was completed."""
        found: dict[int, set[tuple[str, int]]] = {}
        pages = self._s3.client.get_paginator("list_parts").paginate(**_named(upload))
        with crossing(upload.destination.url, allow=UPLOADS), reading_answer(upload.destination.url):
            async for page in pages:
                for part in page.get("Parts", []):
                    found.setdefault(part["PartNumber"], set()).add((part["ETag"].strip('"'), part["Size"]))
        return found

    async def complete(
        self, upload: Upload, parts: Sequence[tuple[int, Done]], *, crc: int, size: int, options: Options, token: str
    ) -> Finished:
        """By the port. Only `if_exists="replace"` ever replaces an object."""
        replace = options.if_exists == "replace"
        return await complete(self._s3, upload, parts, Meant(token, size, crc), replace=replace)

    async def abort(self, upload: Upload) -> None:
        """By the port. A part that was on its way may stay, and is paid for, until it is aborted again."""
        for turn in range(ABORTS):
            if turn:
                await asyncio.sleep(ABORT_PAUSE_SECONDS)
            try:
                with crossing(upload.destination.url, allow=UPLOADS):
                    await self._s3.client.abort_multipart_upload(**_named(upload))
                    if not (await self._s3.client.list_parts(**_named(upload), MaxParts=1)).get("Parts"):
                        return
            except (NoSuchUpload, NoSuchBucket):
                return
        raise S3Error(f"{upload.destination.url}: the upload {upload.upload_id} does not go away")

    async def look(self, destination: Destination) -> Finished | None:
        """By the port."""
        stands = await standing(self._s3, destination)
        return stands.object if stands is not None else None

    async def signed_url(self, made: Made, follow: Follow) -> str:
        """By the port."""
        stands = await standing(self._s3, made.destination, made.version_id)
        if stands is None or stands.token != made.token:
            raise NoSuchObject(f"{made.destination.url}: the archive that was written there is there no more")
        return await signed_url(self._s3, made, follow)

    async def may_copy(self, sample: Source, size: int, destination: Destination) -> CopyProof:
        """By the port."""
        return CopyProof(*await self._prober.verdict(sample, size, into=destination.bucket))


def _asked(destination: Destination, options: Options, token: str) -> dict[str, Any]:
    """What is not told is left to S3."""
    told = {
        "ACL": options.acl,
        "ContentType": options.content_type,
        "SSEKMSKeyId": options.kms_key,
        "ServerSideEncryption": options.sse,
        "StorageClass": options.storage_class,
        "Tagging": urlencode(options.tags, quote_via=quote),
    }
    return {
        "Bucket": destination.bucket,
        "Key": destination.key,
        "Metadata": {**dict(options.metadata), METADATA_KEY: token},
        **{name: value for name, value in told.items() if value},
    }


def _by_s3(then: float, answer: "ResponseMetadataTypeDef") -> float:
    """A time of this machine's clock by that of S3, from an answer that came now."""
    date = answer["HTTPHeaders"].get("date")
    return then if date is None else then + parsedate_to_datetime(date).timestamp() - time.time()


def _named(upload: Upload) -> dict[str, Any]:
    return {"Bucket": upload.destination.bucket, "Key": upload.destination.key, "UploadId": upload.upload_id}
