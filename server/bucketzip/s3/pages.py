"""One page of a listing: of objects, or of their versions where these pin them. Both come out the same."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bucketzip.errors import S3Error
from bucketzip.plan.catalog import Listed
from bucketzip.s3.client import S3
from bucketzip.s3.errors import reading_answer
from bucketzip.s3.versions import UNVERSIONED

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import ObjectTypeDef, ObjectVersionTypeDef

ARCHIVED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})

_STRONG = re.compile(r'"[!#-~]{1,250}"')  # a manifest holds 255 characters
_LARGEST_BYTES = 1 << 62

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
    with reading_answer(folder.url):  # botocore reads keys, too
        if folder.versions:
            answer = await s3.client.list_object_versions(**asked)
            found = [each for each in answer.get("Versions", []) if each["IsLatest"]]
            fields = {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
        else:
            answer = await s3.client.list_objects_v2(**asked)
            found = answer.get("Contents", [])
            fields = {"NextContinuationToken": "ContinuationToken"}
        following = following_of(answer, fields, more, folder.url)
        objects = [_listed(each, folder, checked=s3.custom_endpoint) for each in found]
        return Page(objects, [common["Prefix"] for common in answer.get("CommonPrefixes", [])], following)


def following_of(answer: Mapping[str, Any], fields: Mapping[str, str], more: Following, url: str) -> Following:
    """What to ask for the page behind an answer to `more`; `fields` has what the answer says it by, and what asks.

    An answer that says nothing of it is no listing: empty, or from a proxy that wants somebody to log in. It must not
    be taken for the last page.
    """
    if "IsTruncated" not in answer:
        raise S3Error(f"{url}: S3 sent something that is no listing of objects")
    if not answer["IsTruncated"]:
        return {}
    following = {asks: answer[says] for says, asks in fields.items() if answer.get(says)}
    if not following or following.items() <= more.items():
        raise S3Error(f"{url}: S3 says that the listing goes on, but not where")
    return following


def pinning(etag: str, size: int, url: str) -> str:
    """The ETag with its quotes, which some servers leave out; raises S3Error where it pins no content."""
    quoted = etag if etag.startswith('"') else f'"{etag}"'
    if _STRONG.fullmatch(quoted):
        return quoted
    if not size:  # nothing of it is ever read
        return '""'
    raise S3Error(f"{url}: S3 tells no strong ETag of it ({etag[:100]!r}), so nothing would show that it was changed")


def _listed(found: "ObjectTypeDef | ObjectVersionTypeDef", folder: Folder, *, checked: bool) -> Listed:
    key, size = found["Key"], found["Size"]
    if not key.startswith(folder.prefix) or not 0 <= size < _LARGEST_BYTES:
        raise S3Error(f"{folder.url}: S3 lists {key[:1024]!r} of {size} bytes there")
    restored = "RestoreExpiryDate" in found.get("RestoreStatus", {})
    algorithms = found.get("ChecksumAlgorithm")
    version_id = found.get("VersionId", "")
    return Listed(
        key,
        size,
        pinning(found["ETag"], size, f"s3://{folder.bucket}/{key}"),
        int(found["LastModified"].timestamp()),
        archived=found.get("StorageClass") in ARCHIVED_CLASSES and not restored,
        # AWS lists the algorithms of every object that has a checksum; servers that never do must be asked.
        may_have_crc="CRC32" in algorithms if algorithms else checked,
        version_id="" if version_id == UNVERSIONED else str(version_id),
    )
