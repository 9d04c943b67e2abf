"""What came of a job that succeeded, and what keeps the link to it from being followed."""

from bucketzip.errors import ArchiveCancelled, LinkExpired, StillArchiving, recorded
from bucketzip.jobs import requested
from bucketzip.jobs.kinds import Execution
from bucketzip.jobs.model import error_detail
from bucketzip.jobs.ports import Finished
from bucketzip.jobs.prices import list_price_usd
from bucketzip.jobs.spending import Spending
from bucketzip.plan.remedies import as_fields
from bucketzip.state.job_row import Job
from bucketzip.state.job_states import State


def result_of(job: Job, execution: Execution, finished: Finished, spending: Spending, now: float) -> dict[str, object]:
    """All that is known only now, at the time `now`; the row tells the rest."""
    request, outcome, requests = requested.read(job), execution.outcome(), spending.requests()
    return {
        "bucket": job.bucket,
        "key": job.key,
        "version_id": finished.version_id or None,
        "etag": finished.etag,
        "crc32": f"{execution.there.crc():08x}",
        "bytes": outcome.bytes,
        "entries": job.entries,
        "parts": outcome.parts,
        "copied_bytes": outcome.copied_bytes,
        "built_bytes": outcome.bytes - outcome.copied_bytes,
        "compression": request.compression,
        "level": request.level if request.compressing else None,
        "source_bytes": outcome.source_bytes,
        "ratio": round(outcome.bytes / outcome.source_bytes, 4) if outcome.source_bytes else None,
        "methods": {"stored": outcome.stored, "deflated": outcome.deflated},
        "seconds": round(now - (job.started_at or now), 3),
        "phases": {"planning": 0.0, "running": 0.0, "finishing": 0.0} | spending.phases(),
        "requests": requests,
        "list_price_usd": list_price_usd(requests),
    }


def refuse_unready(job: Job, now: float) -> None:
    """Raise why there is nothing to be had of it, now or any more."""
    if not job.state.is_final:
        raise StillArchiving(f"the archive is not written yet: its job is {job.state}")
    if job.state is State.CANCELLED:
        raise ArchiveCancelled
    if job.state is State.FAILED:
        raise recorded(job.error_code or "", error_detail(job, as_fields))
    if job.result_expires_at is None or job.result_expires_at <= now:
        raise LinkExpired
