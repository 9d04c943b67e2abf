"""The last request of an upload, and whether the object that is there then is the one that was meant.

The answer may come minutes late, be lost, or be an error after "200 OK"; asking again is an error on some servers and
none on others. So the object itself is asked: a token in its metadata tells it from any other of its key. It is asked
in any case, since servers exist that take a wrong size or CRC-32 without a word.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bucketzip.errors import BucketzipError, ContentMismatch, DestinationExists, NoSuchObject, SourceChanged
from bucketzip.jobs.ports import Destination, Done, Finished, Upload
from bucketzip.s3.checksums import full_object_crc, written
from bucketzip.s3.client import S3
from bucketzip.s3.errors import crossing, reading_answer
from bucketzip.s3.heads import head_object

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import (
        CompletedPartTypeDef,
        CompleteMultipartUploadRequestTypeDef,
    )

_log = logging.getLogger(__name__)

METADATA_KEY = "bucketzip-job"
"""In the object's metadata."""
WRITING = "s3:PutObject on it (and kms:GenerateDataKey and kms:Decrypt for its key)"


class Meant(NamedTuple):
    """What is to come of an upload."""

    token: str
    size: int
    crc: int


class Standing(NamedTuple):
    """An object as it stands in its bucket, and the token of who made it, if we did."""

    object: Finished
    token: str


async def standing(s3: S3, destination: Destination, version_id: str = "") -> Standing | None:
    """What is there now, or of that version."""
    asked = {"VersionId": version_id} if version_id else {}
    try:
        head = await head_object(s3, *destination, ChecksumMode="ENABLED", **asked)
    except NoSuchObject:
        return None
    crc = full_object_crc(head.get("ChecksumCRC32"), head.get("ChecksumType"))
    with reading_answer(destination.url):
        found = Finished(head["ETag"].strip('"'), head["ContentLength"], head.get("VersionId", ""), crc)
    return Standing(found, head.get("Metadata", {}).get(METADATA_KEY, ""))


async def complete(
    s3: S3, upload: Upload, parts: Sequence[tuple[int, Done]], meant: Meant, *, replace: bool
) -> Finished:
    """Make an object of the parts, in place of what may be there if `replace`.

    Raises DestinationExists, and ContentMismatch where S3 keeps something else than what was meant.
    """
    destination = upload.destination
    try:
        await _ask(s3, upload, parts, meant, replace=replace)
    except BucketzipError as error:
        if (found := await _in_spite_of(error, s3, destination, meant)) is not None:
            return found
        raise
    stands = await standing(s3, destination)
    if stands is None or stands.token != meant.token:
        raise ContentMismatch(f"{destination.url}: S3 completed the upload, but it is not what is there now")
    return _checked(stands.object, destination, meant)


async def _ask(s3: S3, upload: Upload, parts: Sequence[tuple[int, Done]], meant: Meant, *, replace: bool) -> None:
    asked: CompleteMultipartUploadRequestTypeDef = {
        "Bucket": upload.destination.bucket,
        "Key": upload.destination.key,
        "UploadId": upload.upload_id,
        "MultipartUpload": {"Parts": [_named(number, done, upload) for number, done in parts]},
    }
    if upload.checksums:
        asked["ChecksumCRC32"] = written(meant.crc)
        asked["ChecksumType"] = "FULL_OBJECT"
        asked["MpuObjectSize"] = meant.size
    if not replace:
        asked["IfNoneMatch"] = "*"
    try:
        with crossing(upload.destination.url, allow=WRITING):
            await s3.client.complete_multipart_upload(**asked)
    except SourceChanged as error:  # so a condition that does not hold is called elsewhere
        raise DestinationExists(f"{upload.destination.url}: {DestinationExists.__doc__}") from error


def _named(number: int, done: Done, upload: Upload) -> "CompletedPartTypeDef":
    named: CompletedPartTypeDef = {"PartNumber": number, "ETag": done.etag}
    if upload.checksums:
        named["ChecksumCRC32"] = written(done.crc)
    return named


async def _in_spite_of(error: BucketzipError, s3: S3, destination: Destination, meant: Meant) -> Finished | None:
    """The object, if the upload was completed although S3 told an error; raises where it may be known later."""
    try:
        stands = await standing(s3, destination)
    except BucketzipError as another:
        if another.retryable and not error.retryable:  # what was completed looks like one that is gone
            raise another from error
        return None
    if stands is None or stands.token != meant.token:
        return None
    _log.info("the upload had been completed: %s", error)
    return _checked(stands.object, destination, meant)


def _checked(found: Finished, destination: Destination, meant: Meant) -> Finished:
    if found.size != meant.size:
        raise ContentMismatch(f"{destination.url}: S3 keeps {found.size} bytes, and {meant.size} were sent")
    if found.crc not in {None, meant.crc}:
        raise ContentMismatch(f"{destination.url}: S3 keeps bytes of the CRC-32 {found.crc:08x}, not {meant.crc:08x}")
    return found
