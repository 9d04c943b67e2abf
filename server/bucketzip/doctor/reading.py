"""Checks of a bucket that archives are made of. Nothing is written but, to try copies, an upload that is aborted."""

from bucketzip.doctor.finding import Check, Finding, failed, ok, unknown, untried, warning
from bucketzip.doctor.looked import Looked
from bucketzip.doctor.policy import Grant
from bucketzip.doctor.refusals import is_of_kms, key_refused, refused
from bucketzip.doctor.speed import measure
from bucketzip.errors import AccessDenied, BucketzipError
from bucketzip.plan.catalog import Listed
from bucketzip.transfer.ports import RangeReader

MIB = 1 << 20
LEAST_MEASURED_BYTES = 4 * MIB
LEAST_COPIED_BYTES = (5 << 20) + 1
SCRATCH = ".bucketzip-scratch/"
"""Below it are uploads that S3 computes checksums by."""
SCRATCH_ACTIONS = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


def bucket_check(looked: Looked, here: str, *, after: tuple[Check, ...]) -> Check:
    """Whether the bucket is there, and near: `here` is the region of this machine."""
    return Check("bucket", lambda: _bucket(looked, here), looked.url, after)


async def _bucket(looked: Looked, here: str) -> Finding:
    answered = await looked.bucket.head()
    if not answered.exists:
        return failed(
            f"there is no bucket {looked.bucket.name}",
            "see how it is spelt; `bucketzip ls` tells which there are",
        )
    if not answered.region:
        return ok("it is there", region=None)
    if answered.region != here:
        return warning(
            f"it is in {answered.region}, this machine in {here}",
            "traffic between regions costs by the GB and is slower: run it in the bucket's region",
            region=answered.region,
        )
    return ok(f"in {answered.region}, as this machine", region=answered.region)


def list_check(looked: Looked, *, after: tuple[Check, ...]) -> Check:
    """Whether it may be listed; others look at what it finds."""
    return Check("list", lambda: _list(looked), looked.url, after)


async def _list(looked: Looked) -> Finding:
    try:
        looked.objects = await looked.bucket.first(looked.prefix)
    except AccessDenied as error:
        return refused(error, *looked.on_bucket("s3:ListBucket"))
    archived = sum(each.archived for each in looked.objects)
    if not looked.objects:
        return ok("it may be listed, and nothing is there", objects=0)
    said = f"{len(looked.objects):,} objects on the first page"
    if archived:
        return warning(
            f"{said}, {archived:,} of them in an archived storage class",
            "restore them first (aws s3api restore-object), or ask with --on-missing skip",
            objects=len(looked.objects),
            archived=archived,
        )
    return ok(said, objects=len(looked.objects))


def reading_checks(looked: Looked, reader: RangeReader, listed: Check) -> list[Check]:
    """What a source needs beside the list."""
    get = Check("get", lambda: _get(looked), looked.url, (listed,))
    return [
        get,
        Check("versions", lambda: _versions(looked), looked.url, (listed,)),
        Check("part-checksums", lambda: _part_checksums(looked), looked.url, (get,)),
        Check("speed", lambda: _speed(looked, reader), looked.url, (get,), seconds=60),
        copies_check(looked, looked.bucket.name, after=(get,)),
    ]


async def _get(looked: Looked) -> Finding:
    if not looked.readable:
        return untried("there is no object to try it with")
    sample = min(looked.readable, key=lambda listed: listed.size)
    try:
        await looked.bucket.get(sample)
    except BucketzipError as error:
        key = await _key_of(looked, sample)
        if is_of_kms(error) or (key and isinstance(error, AccessDenied)):
            return key_refused(error, ("kms:Decrypt",), key)
        return refused(error, *looked.on_objects("s3:GetObject"))
    key = await _key_of(looked, sample)
    encrypted = f", encrypted with {key}" if key else ""
    return ok(f"s3://{looked.bucket.name}/{sample.key} can be read{encrypted}", kms_key=key or None)


async def _key_of(looked: Looked, sample: Listed) -> str:
    try:
        return await looked.bucket.key_of(sample)
    except BucketzipError:
        return ""


async def _versions(looked: Looked) -> Finding:
    try:
        kept = await looked.bucket.keeps_versions()
    except BucketzipError as error:
        grants = looked.on_bucket("s3:GetBucketVersioning", optional=True)
        return refused(error, *grants, judge=unknown)
    if not kept:
        return ok("the bucket keeps none: objects are pinned by their ETags")
    try:
        await looked.bucket.list_versions(looked.prefix)
    except BucketzipError as error:
        grants = looked.on_bucket("s3:ListBucketVersions", optional=True)
        grants += looked.on_objects("s3:GetObjectVersion", optional=True)
        return refused(error, *grants, judge=warning)
    return ok("objects are pinned by their versions: links go on working after an overwrite")


async def _part_checksums(looked: Looked) -> Finding:
    try:
        await looked.bucket.attributes(looked.readable[0])
    except AccessDenied as error:
        grants = looked.on_objects("s3:GetObjectAttributes", optional=True)
        return refused(error, *grants, judge=warning)
    except BucketzipError as error:
        return unknown(f"this S3 does not tell the checksums of parts: {error}")
    return ok("S3 tells those of objects that were uploaded in parts")


def copies_check(looked: Looked, into: str, *, after: tuple[Check, ...]) -> Check:
    """Whether S3's own copies can be used, into uploads to the bucket `into`."""
    return Check("copies", lambda: _copies(looked, into), f"s3://{into}/{SCRATCH}", after, seconds=60)


async def _copies(looked: Looked, into: str) -> Finding:
    sample = max(looked.readable, key=lambda listed: listed.size, default=None)
    if sample is None or sample.size < LEAST_COPIED_BYTES:
        return unknown("there is no object over 5 MiB on the first page to try it with")
    why_not = await looked.bucket.why_not_copied(sample, into)
    if not why_not:
        return ok(f"S3 copies into s3://{into}, and tells right checksums: large objects need not pass this machine")
    said = f"S3's copies are not used: {why_not}"
    if "access" not in why_not.lower():
        return warning(
            said, "archives are made all the same: their bytes pass this machine, checksums are computed here"
        )
    where = looked.arns.objects(into, SCRATCH)
    grants = [Grant(action, where, optional=True) for action in SCRATCH_ACTIONS]
    grants.append(Grant("s3:ListBucketMultipartUploads", looked.arns.bucket(into), optional=True))
    return warning(said, f"optional: allow writing to s3://{into}/{SCRATCH}, where nothing is ever kept", *grants)


async def _speed(looked: Looked, reader: RangeReader) -> Finding:
    measured = await measure(reader, looked.bucket.name, looked.readable)
    rate = measured.bytes / MIB / max(measured.seconds, 1e-3)
    facts = {"mib_per_second": round(rate, 1), "bytes": measured.bytes, "ranges": measured.ranges}
    said = f"{measured.bytes / MIB:,.1f} MiB in {measured.ranges} ranged GETs took {measured.seconds:.2f} s"
    if measured.bytes < LEAST_MEASURED_BYTES:
        return ok(f"{said}: too little to tell a rate by", **facts)
    return ok(f"{said}: {rate:,.0f} MiB/s", **facts)
