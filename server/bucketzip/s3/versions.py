"""Whether a bucket's objects are pinned by their versions: then what is overwritten can still be read, by every link.

That takes versioning, and a role that may list and read versions. Else the ETag pins, and a change is an error.
"""

import asyncio
import logging

from bucketzip.errors import BucketzipError, S3Unreachable, SlowDown
from bucketzip.s3.client import S3
from bucketzip.s3.errors import crossing, reading_answer
from bucketzip.s3.single_flight import SingleFlight

_log = logging.getLogger(__name__)

HOLDS_SECONDS = 300.0
LOOKED_AT = 20
"""Versions to look at for one to try; there may be markers of deletions among them."""

UNVERSIONED = "null"
"""The version of what was written without versioning. It may be overwritten, so it pins nothing."""

_AWAY = (S3Unreachable, SlowDown)
"""They tell nothing about the bucket: taken for a no, objects would be pinned otherwise than a moment later."""


class Versions:
    """Knows it of each bucket for a while."""

    def __init__(self, s3: S3, *, wanted: bool) -> None:
        self._s3 = s3
        self._wanted = wanted
        self._asking = SingleFlight[str, bool | None]()
        self._known: dict[str, tuple[float, bool]] = {}

    async def pin(self, bucket: str, prefix: str) -> bool:
        """Whether versions pin the bucket's objects; it is tried with what begins with `prefix`."""
        if not self._wanted:
            return False
        now = asyncio.get_running_loop().time()
        until, pinned = self._known.get(bucket, (0.0, False))
        if until > now:
            return pinned
        found = await self._asking.do(bucket, lambda: self._try(bucket, prefix))
        if found is not None:
            self._known[bucket] = (now + HOLDS_SECONDS, found)
        return bool(found)

    async def _try(self, bucket: str, prefix: str) -> bool | None:
        """None where there is nothing to try it with."""
        where = f"s3://{bucket}/{prefix}"
        try:
            with crossing(where):
                if not (await self._s3.client.get_bucket_versioning(Bucket=bucket)).get("Status"):
                    return False
        except _AWAY:
            raise
        except BucketzipError:
            pass  # where that may not be asked, versions tell
        try:
            with crossing(where), reading_answer(where):
                listed = await self._s3.client.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=LOOKED_AT)
                found = listed.get("Versions", [])
                if not found:
                    return None
                await self._s3.client.head_object(Bucket=bucket, Key=found[0]["Key"], VersionId=found[0]["VersionId"])
        except _AWAY:
            raise
        except BucketzipError as error:
            _log.info("objects are pinned by their ETags: %s", error, extra={"bucket": bucket})
            return False
        return True
