"""Checks of a bucket that archives are written into. An upload is begun and aborted; an object is never made."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bucketzip.doctor.finding import Check, Finding, failed, ok, unknown, warning
from bucketzip.doctor.looked import Looked
from bucketzip.doctor.policy import Grant
from bucketzip.doctor.ports import Bucket, Unfinished
from bucketzip.doctor.refusals import is_of_kms, key_refused, refused
from bucketzip.errors import AccessDenied, BucketzipError

MIB = 1 << 20
NAME = ".bucketzip-doctor-"
OLD = timedelta(days=1)
MOST_UPLOADS = 10_000
SIZED_UPLOADS = 20
"""Each costs a request."""
KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")
WRITE_ACTIONS = ("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


def upload_checks(looked: Looked, *, after: tuple[Check, ...]) -> list[Check]:
    """About uploads that nobody finishes; also of sources, where checksums are computed in such."""
    return [
        Check("lifecycle", lambda: _lifecycle(looked), looked.url, after),
        Check("unfinished-uploads", lambda: _unfinished(looked), looked.url, after),
    ]


def writing_checks(looked: Looked, *, after: tuple[Check, ...]) -> list[Check]:
    """What a destination needs; `looked.prefix` is the folder or the key that is to be written."""
    return [
        Check("put", lambda: _put(looked), looked.url, after),
        Check("look", lambda: _look(looked), looked.url, after),
        Check("encryption", lambda: _encryption(looked), looked.url, after),
        *upload_checks(looked, after=after),
    ]


async def _put(looked: Looked) -> Finding:
    bucket, key = looked.bucket, _key(looked.prefix)
    try:
        upload_id = await bucket.begin(key)
    except BucketzipError as error:
        return await _refused(looked, error)
    problem: BucketzipError | None = None
    grants: list[Grant] = []
    try:
        for step, action in ((bucket.put_part, "s3:PutObject"), (bucket.list_parts, "s3:ListMultipartUploadParts")):
            try:
                await step(key, upload_id)
            except BucketzipError as error:
                problem, grants = error, [*grants, *looked.on_objects(action)]
    finally:
        aborted = await _aborted(bucket, key, upload_id)
    if aborted is not None:
        return failed(
            f"an upload cannot be aborted: {aborted}",
            "allow s3:AbortMultipartUpload; this check has left one behind, without cost to speak of: aws s3api"
            f" abort-multipart-upload --bucket {bucket.name} --key {key} --upload-id {upload_id}",
            *looked.on_objects("s3:AbortMultipartUpload"),
            *grants,
        )
    if problem is not None:
        return await _refused(looked, problem, *grants)
    return ok(f"an upload to s3://{bucket.name}/{key} was begun, and aborted")


async def _aborted(bucket: Bucket, key: str, upload_id: str) -> BucketzipError | None:
    """Abort it, whatever comes; what kept it from that."""

    async def abort() -> BucketzipError | None:
        try:
            await bucket.abort(key, upload_id)
        except BucketzipError as error:
            return error
        return None

    return await _to_the_end(asyncio.create_task(abort()))


async def _to_the_end(task: "asyncio.Task[BucketzipError | None]") -> BucketzipError | None:
    """Its result, once it is done; a cancellation has to wait for that."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _refused(looked: Looked, error: BucketzipError, *grants: Grant) -> Finding:
    if is_of_kms(error):
        return key_refused(error, KEY_ACTIONS, await _default_key(looked) or "")
    return refused(error, *(grants or looked.on_objects(*WRITE_ACTIONS)))


def _key(prefix: str) -> str:
    """What is tried: the key itself, or one in the folder."""
    return f"{prefix}{NAME}{uuid.uuid4().hex}" if not prefix or prefix.endswith("/") else prefix


async def _look(looked: Looked) -> Finding:
    key = looked.prefix if looked.prefix and not looked.prefix.endswith("/") else _key(looked.prefix)
    try:
        there = await looked.bucket.exists(key)
    except AccessDenied as error:  # without s3:ListBucket S3 says so of what is not there
        return refused(error, *looked.on_objects("s3:GetObject"), *looked.on_bucket("s3:ListBucket"))
    if there:
        return warning(f"there is an object s3://{looked.bucket.name}/{key}", "name another, or ask with --if-exists")
    return ok("whether an object is there already can be seen")


async def _encryption(looked: Looked) -> Finding:
    try:
        key = await looked.bucket.default_key()
    except AccessDenied as error:
        return unknown(
            f"it may not be asked for: {error}",
            "nothing needs s3:GetEncryptionConfiguration but this check; `put` tells whether the key can be used",
        )
    except BucketzipError as error:
        return unknown(f"this S3 does not tell: {error}")
    if key is None:
        return ok("by S3 itself, without a key of KMS")
    return ok(f"with the key of KMS {key}; `put` tells whether it can be used", kms_key=key)


async def _default_key(looked: Looked) -> str | None:
    try:
        return await looked.bucket.default_key()
    except BucketzipError:
        return None


async def _lifecycle(looked: Looked) -> Finding:
    todo = "add a lifecycle rule that aborts unfinished multipart uploads after 7 days: what is lost there is paid for"
    try:
        rules = await looked.bucket.abort_rules()
    except AccessDenied as error:
        grants = looked.on_bucket("s3:GetLifecycleConfiguration", optional=True)
        return unknown(f"it may not be asked for: {error}", "see that there is a rule for unfinished uploads", *grants)
    except BucketzipError as error:
        return unknown(f"this S3 does not tell: {error}")
    covering = [rule for rule in rules if looked.prefix.startswith(rule.prefix)]
    if covering:
        days = min(rule.days for rule in covering)
        return ok(f"unfinished uploads are aborted after {days} day{'s' * (days != 1)}", days=days)
    if rules:
        return warning(f"the rules for unfinished uploads are for other folders than {looked.url}", todo)
    return warning("no rule aborts unfinished uploads", todo)


async def _unfinished(looked: Looked) -> Finding:
    old: list[Unfinished] = []
    seen = 0
    before = datetime.now(UTC) - OLD
    try:
        async for upload in looked.bucket.unfinished(looked.prefix):
            seen += 1
            if upload.begun_at < before:
                old.append(upload)
            if seen == MOST_UPLOADS:
                break
    except AccessDenied as error:
        grants = looked.on_bucket("s3:ListBucketMultipartUploads", optional=True)
        return refused(error, *grants, judge=warning)
    if not old:
        return ok("none is older than a day", uploads=0)
    size = await _bytes(looked.bucket, old[:SIZED_UPLOADS])
    more = "at least " if seen == MOST_UPLOADS else ""
    held = "" if size is None else f", {'at least ' if len(old) > SIZED_UPLOADS else ''}{size / MIB:,.1f} MiB"
    first = old[0]
    return warning(
        f"{more}{len(old):,} older than a day{held}, such as s3://{looked.bucket.name}/{first.key}",
        "they are paid for: let a lifecycle rule abort them, or do it by hand if nobody works on them: aws s3api"
        f" abort-multipart-upload --bucket {looked.bucket.name} --key '{first.key}' --upload-id {first.upload_id}",
        uploads=len(old),
        bytes=size,
    )


async def _bytes(bucket: Bucket, uploads: Sequence[Unfinished]) -> int | None:
    """What they hold; None where that may not be asked for."""
    try:
        return sum([await bucket.unfinished_bytes(each) for each in uploads])
    except BucketzipError:
        return None
