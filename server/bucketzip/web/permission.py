"""What a caller may do: which buckets a request may name, and whose links and jobs are to be seen.

Every handler that takes a request for an archive, or an id, goes through here.
"""

from collections.abc import Iterable

from aiohttp import web

from bucketzip.errors import Forbidden, NoSuchArchive
from bucketzip.jobs.model import Job
from bucketzip.plan.request import ArchiveRequest, ZipRequest
from bucketzip.web import keys


def require_permitted(request: web.Request, wanted: ZipRequest) -> None:
    """Raises Forbidden where it names a bucket that the caller may not use."""
    buckets = [source.location.bucket for source in wanted.sources]
    if isinstance(wanted, ArchiveRequest):
        buckets.append(wanted.bucket_and_key[0])
    require_buckets(request, buckets)


def require_buckets(request: web.Request, buckets: Iterable[str]) -> None:
    """Raises Forbidden for the first one that the caller may not use."""
    caller = request[keys.CALLER]
    for bucket in dict.fromkeys(buckets):
        if not caller.may_use(bucket):
            request.app[keys.METRICS].auth_failures.labels("forbidden").inc()
            allowed = ", ".join(caller.buckets) or "none"
            raise Forbidden(f"You may not use the bucket {bucket} (yours: {allowed}). An admin can allow it.")


async def visible_job(request: web.Request, job_id: str) -> Job:
    """The job; raises NoSuchArchive also for one of somebody else, so that nobody learns what there is."""
    job = await request.app[keys.ARCHIVE_JOBS].get(job_id)
    if not request[keys.CALLER].may_see(job.owner):
        raise NoSuchArchive
    return job
