"""One part of an upload, copied by S3 from an object."""

from typing import TYPE_CHECKING, NamedTuple

from bucketzip.archive.manifest import Source
from bucketzip.errors import NoSuchUpload
from bucketzip.s3.checksums import full_object_crc
from bucketzip.s3.client import S3
from bucketzip.s3.errors import crossing

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import UploadPartCopyRequestTypeDef


class Target(NamedTuple):
    """An upload, as S3 is told of it."""

    bucket: str
    key: str
    upload_id: str

    @property
    def url(self) -> str:
        """For people."""
        return f"s3://{self.bucket}/{self.key}"


class Copied(NamedTuple):
    """What S3 tells of a copy."""

    etag: str
    """Without quotes."""
    crc: int | None


async def copy_part(s3: S3, to: Target, number: int, source: Source, part: tuple[int, int] | None) -> Copied:
    """Copy an object as it was planned, or its bytes `[start, stop)`, as part `number`; raises SourceChanged.

    AWS takes a range only of sources over 5 MB, so there must be none where it would be all of a smaller one.
    """
    origin = {"Bucket": source.bucket, "Key": source.key}
    if source.version_id:
        origin["VersionId"] = source.version_id
    asked: UploadPartCopyRequestTypeDef = {
        "Bucket": to.bucket,
        "Key": to.key,
        "UploadId": to.upload_id,
        "PartNumber": number,
        "CopySource": origin,  # type: ignore[typeddict-item]  # the version is optional there
        "CopySourceIfMatch": source.etag,
    }
    if part is not None:
        asked["CopySourceRange"] = f"bytes={part[0]}-{part[1] - 1}"
    try:
        with crossing(
            f"s3://{source.bucket}/{source.key}",
            allow=f"s3:GetObject on it and s3:PutObject on {to.url} (and their keys)",
        ):
            answer = await s3.client.upload_part_copy(**asked)
    except NoSuchUpload as error:  # nothing is wrong with the source
        raise NoSuchUpload(f"{to.url}: {NoSuchUpload.__doc__}") from error
    result = answer.get("CopyPartResult", {})
    return Copied(result.get("ETag", "").strip('"'), full_object_crc(result.get("ChecksumCRC32"), None))
