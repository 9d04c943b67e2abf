"""Whether copying in S3 can be believed: tried once for an endpoint and its buckets, on a real object.

Endpoints differ (facts): some copy without telling a CRC, one tells that of the whole object for a range of it, one
stores an empty part. So a small range of a source is copied into a scratch upload; the CRC that S3 tells and the size
that it lists are compared with the bytes of that range. One copies whatever is there now, so an entry could be made of
two versions: a copy on the condition of another ETag has to be refused. What was not proven counts as failed.
"""

import logging
from typing import Any

from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import Source
from bucketzip.errors import AccessDenied, BucketzipError, S3Unreachable, SlowDown, SourceChanged
from bucketzip.s3.client import S3
from bucketzip.s3.errors import crossing
from bucketzip.s3.scratch import Scratch
from bucketzip.s3.single_flight import SingleFlight
from bucketzip.state.probes import Probe, Probes, Verdict

_log = logging.getLogger(__name__)

PROBED_BYTES = 64 << 10
_NO_ETAG = f'"{"0" * 32}"'
LEAST_SOURCE_BYTES = (5 << 20) + 1
"""AWS copies a range only of sources over 5 MB."""

DAY_SECONDS = 86_400.0
PROVEN_SECONDS = 30 * DAY_SECONDS
FAILED_SECONDS = 7 * DAY_SECONDS
"""An endpoint that was wrong may be upgraded."""
DENIED_SECONDS = 3600.0
"""A role may be given more rights."""
UNREACHABLE_SECONDS = 60.0


class Prober:
    """Knows the verdicts, and probes where there is none.

    `name` tells the rights that they are found out with from others: where one may not copy, another may.
    """

    def __init__(self, s3: S3, scratch: Scratch, probes: Probes, name: str = "") -> None:
        self._name = name
        self._s3 = s3
        self._scratch = scratch
        self._probes = probes
        self._running = SingleFlight[Probe, Verdict]()

    async def verdict(self, sample: Source, size: int, *, into: str = "") -> Verdict:
        """Whether copies of objects of the sample's bucket can be believed; never raises what S3 says.

        Copies `into` a bucket, or into scratch uploads.
        """
        bucket = into or self._scratch.bucket_for(sample.bucket)
        endpoint = str(self._s3.client.meta.endpoint_url)
        probe = Probe(f"{endpoint} {self._name}" if self._name else endpoint, sample.bucket, bucket)
        known = await self._probes.get(probe)
        if known is not None:
            return known
        if size < LEAST_SOURCE_BYTES:
            return Verdict(proven=False, reason=f"no object over {LEAST_SOURCE_BYTES - 1} bytes to try it with")
        return await self._running.do(probe, lambda: self._probe(probe, sample, size))

    async def _probe(self, probe: Probe, sample: Source, size: int) -> Verdict:
        seconds = FAILED_SECONDS
        try:
            reason = await self._try(sample, size, probe.scratch)
        except AccessDenied as error:
            reason, seconds = str(error), DENIED_SECONDS
        except (S3Unreachable, SlowDown) as error:
            reason, seconds = str(error), UNREACHABLE_SECONDS
        except BucketzipError as error:
            reason = str(error)
        verdict = Verdict(not reason, reason)
        await self._probes.keep(probe, verdict, seconds=PROVEN_SECONDS if verdict.proven else seconds)
        if verdict.proven:
            _log.info("copies inside S3 tell right CRCs", extra={"bucket": probe.source, "scratch": probe.scratch})
        else:
            _log.info("copies inside S3 are not used: %s", reason, extra={"bucket": probe.source})
        return verdict

    async def _try(self, sample: Source, size: int, bucket: str) -> str:
        """What is wrong with a copy of a range in the middle; nothing where it is right."""
        start = (size - PROBED_BYTES) // 2
        stop = start + PROBED_BYTES
        async with self._scratch.upload(sample.bucket, into=bucket) as upload:
            told = await upload.copy(1, sample, (start, stop))
            if told is None:
                return "S3 tells no CRC-32 of a copied part"
            if (listed_bytes := await upload.part_size(1)) != PROBED_BYTES:
                return f"S3 lists a copied part of {PROBED_BYTES} bytes with {listed_bytes}"
            read = await self._read(sample, start, stop)
            if len(read) != PROBED_BYTES or crc32(read) != told:
                return "S3 tells a wrong CRC-32 of a copied part"
            try:
                await upload.copy(2, sample._replace(etag=_NO_ETAG), (start, stop))
            except SourceChanged:
                return ""
            return "S3 copies an object whatever ETag it should have"

    async def _read(self, source: Source, start: int, stop: int) -> bytes:
        asked: dict[str, Any] = {"Bucket": source.bucket, "Key": source.key, "IfMatch": source.etag}
        if source.version_id:
            asked["VersionId"] = source.version_id
        with crossing(f"s3://{source.bucket}/{source.key}"):
            answer = await self._s3.client.get_object(**asked, Range=f"bytes={start}-{stop - 1}")
            async with answer["Body"] as body:
                return bytes(await body.read())
