"""Archives that are written into a bucket: jobs, accepted, told about and cancelled."""

import time
from contextlib import aclosing

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from bucketzip.jobs.model import Job, State, as_json
from bucketzip.jobs.skipped import MOST_NAMED
from bucketzip.plan.request import ArchiveRequest
from bucketzip.plan.sealing import Given
from bucketzip.web import keys
from bucketzip.web.bodies import idempotency_key, read_body, read_query
from bucketzip.web.events import EventStream
from bucketzip.web.listing import Listing
from bucketzip.web.origin import origin
from bucketzip.web.permission import require_permitted, visible_job

LISTED_SKIPPED = 10
"""How many of the objects that a job left out are named in the list of all jobs."""
HEARTBEAT_SECONDS = 15.0
"""A proxy takes a connection that was silent for long for a dead one."""
CANCELLED_BY_CLIENT = "client"


class ArchiveListing(Listing):
    """The query of GET /archives."""

    state: State | None = None


class Resumption(BaseModel):
    """The body of POST /archives/{id}/resume."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    credentials: Given


async def create(request: web.Request) -> web.Response:
    """POST /archives: accept a job."""
    wanted = await read_body(request, ArchiveRequest)
    require_permitted(request, wanted)
    job, new = await request.app[keys.ARCHIVE_JOBS].create(wanted, request[keys.CALLER].owner, idempotency_key(request))
    location = f"{origin(request)}/archives/{job.id}"
    return web.json_response(await _told(request, job), status=202 if new else 200, headers={"Location": location})


async def page(request: web.Request) -> web.Response:
    """GET /archives: the newest first."""
    asked = read_query(request, ArchiveListing)
    found = await request.app[keys.ARCHIVE_JOBS].page(
        owner=request[keys.CALLER].sees, state=asked.state, after=asked.after, limit=asked.limit
    )
    listed = await _all_told(request, found.items, most_skipped=LISTED_SKIPPED)
    return web.json_response({"archives": listed, "next": found.next})


async def show(request: web.Request) -> web.Response:
    """GET /archives/{id}."""
    job = await visible_job(request, request.match_info["id"])
    return web.json_response(await _told(request, job))


async def cancel(request: web.Request) -> web.Response:
    """DELETE /archives/{id}: ask for its end."""
    seen = await visible_job(request, request.match_info["id"])
    job = await request.app[keys.ARCHIVE_JOBS].cancel(seen.id, CANCELLED_BY_CLIENT)
    return web.json_response(await _told(request, job), status=202)


async def resume(request: web.Request) -> web.Response:
    """POST /archives/{id}/resume: go on with other credentials."""
    wanted = await read_body(request, Resumption)
    seen = await visible_job(request, request.match_info["id"])
    job = await request.app[keys.ARCHIVE_JOBS].resume(seen.id, wanted.credentials)
    return web.json_response(await _told(request, job), status=202)


async def events(request: web.Request) -> web.StreamResponse:
    """GET /archives/{id}/events: the job now, and whenever it changed, until it is over."""
    archives, job_id = request.app[keys.ARCHIVE_JOBS], request.match_info["id"]
    seen = _last_event_id(request)
    job = await visible_job(request, job_id)
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
            await stream.send(event, await _told(request, job), event_id=job.revision)
            seen, state = job.revision, job.state
    return stream.response


async def _told(request: web.Request, job: Job) -> dict[str, object]:
    return (await _all_told(request, [job]))[0]


async def _all_told(
    request: web.Request, jobs: list[Job], *, most_skipped: int = MOST_NAMED
) -> list[dict[str, object]]:
    over = [job.id for job in jobs if job.state.is_final]  # of the others there is nothing to tell yet
    deliveries = await request.app[keys.DELIVERIES].of_each(over) if over else {}

    def told(job: Job) -> dict[str, object]:
        path = request.app[keys.RESULT_LINKS].path(job)
        link = f"{origin(request)}{path}" if path is not None else None
        return as_json(job, time.time(), link=link, most_skipped=most_skipped, deliveries=deliveries.get(job.id, ()))

    return [told(job) for job in jobs]


def _last_event_id(request: web.Request) -> int | None:
    """The revision that the client has; anything else is as good as none."""
    told = request.headers.get("Last-Event-ID", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < len(str(1 << 63)) else None
