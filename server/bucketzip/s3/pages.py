"""One page of a listing: of objects, or of their versions where these pin them. Both come out the same."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bucketzip.errors import S3Error
from bucketzip.plan.catalog import Listed
from bucketzip.s3.client import S3
from bucketzip.s3.versions import UNVERSIONED

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import ObjectTypeDef, ObjectVersionTypeDef

ARCHIVED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})

Following = dict[str, str]
"""What to ask for the page behind; nothing where there is none."""


class Folder(NamedTuple):
    """What is listed: the keys of a bucket that begin with `prefix`."""

    bucket: str
    prefix: str
    versions: bool = False
    """By the listing of versions, of which the current ones are taken."""

    @property
    def url(self) -> str:
        """For an error's text."""
        return f"s3://{self.bucket}/{self.prefix}"


class Page(NamedTuple):
    """The objects, and the common prefixes where a delimiter was given."""

    objects: list[Listed]
    folders: list[str]
    following: Following


async def read_page(s3: S3, folder: Folder, more: Following) -> Page:
    """A page of the folder; `more` is a delimiter, or what the page before said is `following`."""
    asked: dict[str, Any] = {
        "Bucket": folder.bucket,
        "Prefix": folder.prefix,
        "OptionalObjectAttributes": ["RestoreStatus"],
        **more,
    }
    answer: Any
    if folder.versions:
        answer = await s3.client.list_object_versions(**asked)
        found = [each for each in answer.get("Versions", []) if each["IsLatest"]]
        fields = {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
    else:
        answer = await s3.client.list_objects_v2(**asked)
        found = answer.get("Contents", [])
        fields = {"NextContinuationToken": "ContinuationToken"}
    following = following_of(answer, fields, more, folder.url)
    try:
        objects = [_listed(each, checked=s3.custom_endpoint) for each in found]
    except KeyError as error:
        raise S3Error(f"{folder.url}: S3 sent a listing of objects without {error}") from error
    return Page(objects, [common["Prefix"] for common in answer.get("CommonPrefixes", [])], following)


def following_of(answer: Mapping[str, Any], fields: Mapping[str, str], more: Following, url: str) -> Following:
    """What to ask for the page behind an answer to `more`; `fields` has what the answer says it by, and what asks."""
    if not answer.get("IsTruncated"):
        return {}
    following = {asks: answer[says] for says, asks in fields.items() if answer.get(says)}
    if not following or following.items() <= more.items():
        raise S3Error(f"{url}: S3 says that the listing goes on, but not where")
    return following


def quoted(etag: str) -> str:
    """The ETag with its quotes, which some servers leave out."""
    return etag if etag.startswith('"') else f'"{etag}"'


def _listed(found: "ObjectTypeDef | ObjectVersionTypeDef", *, checked: bool) -> Listed:
    restored = "RestoreExpiryDate" in found.get("RestoreStatus", {})
    algorithms = found.get("ChecksumAlgorithm")
    version_id = found.get("VersionId", "")
    return Listed(
        found["Key"],
        found["Size"],
        quoted(found["ETag"]),
        int(found["LastModified"].timestamp()),
        archived=found.get("StorageClass") in ARCHIVED_CLASSES and not restored,
        # AWS lists the algorithms of every object that has a checksum; servers that never do must be asked.
        may_have_crc="CRC32" in algorithms if algorithms else checked,
        version_id="" if version_id == UNVERSIONED else str(version_id),
    )
