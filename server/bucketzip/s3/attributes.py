"""The CRC-32 of an object that S3 stores a checksum of checksums of, rebuilt from those of its parts."""

import logging
from typing import TYPE_CHECKING, Any

from bucketzip.errors import BucketzipError
from bucketzip.s3.checksums import joined_crc
from bucketzip.s3.client import S3
from bucketzip.s3.errors import crossing

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import ObjectPartTypeDef

_log = logging.getLogger(__name__)

PARTS_A_PAGE = 1000


async def rebuilt_crc(s3: S3, bucket: str, key: str, *, version_id: str, etag: str, size: int) -> int | None:
    """None where S3 does not tell all that it takes: not every server does, and not every role may ask."""
    asked: dict[str, Any] = {
        "Bucket": bucket,
        "Key": key,
        "ObjectAttributes": ["ETag", "ObjectParts", "ObjectSize"],
        "MaxParts": PARTS_A_PAGE,
    }
    if version_id:
        asked["VersionId"] = version_id
    parts: list[ObjectPartTypeDef] = []
    marker = 0
    while True:
        try:
            with crossing(f"s3://{bucket}/{key}"):
                answer = await s3.client.get_object_attributes(**asked, PartNumberMarker=marker)
        except BucketzipError as error:
            _log.debug("no parts' checksums: %s", error)
            return None
        page = answer.get("ObjectParts", {})
        if answer.get("ETag", "").strip('"') != etag.strip('"'):  # the answer takes no condition
            return None
        parts += page.get("Parts", [])
        following = page.get("NextPartNumberMarker", 0)
        if not page.get("IsTruncated") or following <= marker:
            break
        marker = following
    joined = joined_crc(parts)
    return joined[0] if joined is not None and joined[1] == size else None
