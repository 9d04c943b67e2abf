"""Archives that are written into a bucket: jobs, accepted, told about and cancelled."""

import time
from contextlib import aclosing

from aiohttp import web

from bucketzip.errors import NoSuchArchive
from bucketzip.jobs.model import Job, State, as_json
from bucketzip.plan.request import ArchiveRequest
from bucketzip.web import keys
from bucketzip.web.bodies import idempotency_key, read_body, read_query
from bucketzip.web.events import EventStream
from bucketzip.web.listing import Listing
from bucketzip.web.origin import origin

HEARTBEAT_SECONDS = 15.0
"""A proxy takes a connection that was silent for long for a dead one."""
CANCELLED_BY_CLIENT = "client"


class ArchiveListing(Listing):
    """The query of GET /archives."""

    state: State | None = None


async def create(request: web.Request) -> web.Response:
    """POST /archives: accept a job."""
    wanted = await read_body(request, ArchiveRequest)
    job, new = await request.app[keys.ARCHIVE_JOBS].create(wanted, request[keys.CALLER].owner, idempotency_key(request))
    location = f"{origin(request)}/archives/{job.id}"
    return web.json_response(_told(job), status=202 if new else 200, headers={"Location": location})


async def page(request: web.Request) -> web.Response:
    """GET /archives: the newest first."""
    asked = read_query(request, ArchiveListing)
    found = await request.app[keys.ARCHIVE_JOBS].page(
        owner=request[keys.CALLER].sees, state=asked.state, after=asked.after, limit=asked.limit
    )
    return web.json_response({"archives": [_told(job) for job in found.items], "next": found.next})


async def show(request: web.Request) -> web.Response:
    """GET /archives/{id}."""
    return web.json_response(_told(await _visible(request)))


async def cancel(request: web.Request) -> web.Response:
    """DELETE /archives/{id}: ask for its end."""
    job = await _visible(request)
    job = await request.app[keys.ARCHIVE_JOBS].cancel(job.id, CANCELLED_BY_CLIENT)
    return web.json_response(_told(job), status=202)


async def events(request: web.Request) -> web.StreamResponse:
    """GET /archives/{id}/events: the job now, and whenever it changed, until it is over."""
    archives, job_id = request.app[keys.ARCHIVE_JOBS], request.match_info["id"]
    seen = _last_event_id(request)
    job = await _visible(request)
    if job.state.is_final and job.revision == seen:  # the client has it all, and is told not to come again
        return web.Response(status=204)
    stream = EventStream(request, stall_seconds=request.app[keys.SETTINGS].client_stall_seconds)
    await stream.open()
    state = None
    async with aclosing(archives.watch(job_id, seen, quiet_seconds=HEARTBEAT_SECONDS)) as changes:
        async for job in changes:
            if job.revision == seen:
                await stream.beat()
                continue
            event = "progress" if job.state is state else "state"
            await stream.send(event, _told(job), event_id=job.revision)
            seen, state = job.revision, job.state
    return stream.response


def _told(job: Job) -> dict[str, object]:
    return as_json(job, time.time())


async def _visible(request: web.Request) -> Job:
    """The job in the request's path; raises NoSuchArchive, also for one that the caller may not see."""
    job = await request.app[keys.ARCHIVE_JOBS].get(request.match_info["id"])
    if not request[keys.CALLER].may_see(job.owner):
        raise NoSuchArchive
    return job


def _last_event_id(request: web.Request) -> int | None:
    """The revision that the client has; anything else is as good as none."""
    told = request.headers.get("Last-Event-ID", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < len(str(1 << 63)) else None
