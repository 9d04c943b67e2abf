"""Download links, and the archives behind them."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from aiohttp import web

from bucketzip.errors import (
    BucketzipError,
    ContentMismatch,
    LinkExpired,
    NoSuchBucket,
    NoSuchLink,
    NoSuchObject,
    PreconditionFailed,
    RangeNotSatisfiable,
    SourceChanged,
    StillPlanning,
    StillReading,
)
from bucketzip.plan.request import DownloadRequest
from bucketzip.state.links import Link
from bucketzip.transfer.opened import Opened
from bucketzip.transfer.pump import ClientStalled, Pump
from bucketzip.web import keys
from bucketzip.web.bodies import read_body
from bucketzip.web.disposition import attachment
from bucketzip.web.origin import origin
from bucketzip.web.permission import require_permitted
from bucketzip.web.ranges import Asked, Outcome, decide
from bucketzip.web.send import ResponseSink

_log = logging.getLogger(__name__)

FIRST_BYTE_SECONDS = 30.0


async def create(request: web.Request) -> web.Response:
    """POST /downloads: plan an archive, answer with its link."""
    wanted = await read_body(request, DownloadRequest)
    require_permitted(request, wanted)
    app = request.app
    began = time.monotonic()
    capability, _ = await app[keys.DOWNLOADS].create(wanted, request[keys.CALLER].owner)
    link = await app[keys.DOWNLOADS].planned(capability, app[keys.SETTINGS].planning_wait_seconds)
    assert link is not None
    url = f"{origin(request)}/d/{capability}/{quote(link.filename, safe='')}"
    answer: dict[str, object] = {"url": url, "filename": link.filename, "expires_at": _utc(link.expires_at)}
    if link.state == "planning":
        return web.json_response({**answer, "state": "planning"}, status=202, headers={"Location": url})
    async with app[keys.DOWNLOADS].opened(link) as opened:
        etag = opened.layout.etag
    app[keys.METRICS].plan_seconds.observe(time.monotonic() - began)
    answer |= {"state": "ready", "bytes": link.bytes, "entries": link.entries, "etag": etag}
    answer |= json.loads(link.summary or "{}")
    return web.json_response({**answer, "resumable": True}, status=201, headers={"Location": url})


async def download(request: web.Request) -> web.StreamResponse:
    """GET and HEAD /d/{capability}/{filename}: the archive itself."""
    async with look_up(request) as (link, opened):
        return await _answer(request, link, opened)


async def _answer(request: web.Request, link: Link, opened: Opened) -> web.StreamResponse:
    app = request.app
    size = opened.layout.size
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": attachment(link.filename),
            "Accept-Ranges": "bytes",
            "ETag": opened.layout.etag,
            "Cache-Control": "private, no-transform",
            "X-Content-Type-Options": "nosniff",
        }
    )
    asked = decide(request.headers, etag=opened.layout.etag, size=size)
    if asked.outcome is Outcome.FAILED:
        raise PreconditionFailed
    if asked.outcome is Outcome.NOT_MODIFIED:
        response.set_status(304)
        await response.prepare(request)
        return response
    if request.method == "HEAD":  # RFC 9110, 14.2: Range is defined for GET alone
        response.content_length = size
        await response.prepare(request)
        return response
    if asked.outcome is Outcome.UNSATISFIABLE:
        raise RangeNotSatisfiable(size)
    if asked.outcome is Outcome.PARTIAL:
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{size}"
        app[keys.METRICS].ranges.inc()
    response.content_length = asked.stop - asked.start
    return await _send(request, link, opened, response, asked)


async def _send(
    request: web.Request, link: Link, opened: Opened, response: web.StreamResponse, asked: Asked
) -> web.StreamResponse:
    app, metrics = request.app, request.app[keys.METRICS]
    began, outcome, sent = time.monotonic(), "client_gone", 0
    metrics.downloads_active.inc()
    try:
        with opened.sending(asked.start, asked.stop) as pump:
            try:
                await (pump.prime() if asked.outcome is Outcome.FULL else _prime_slice(pump))
                await response.prepare(request)
                sink = ResponseSink(request, response, asked.stop - asked.start)
                await pump.run(sink)
                await sink.finish()
            finally:
                sent = pump.sent_bytes
                metrics.sent_bytes.inc(sent)
        outcome = "complete"
        metrics.download_seconds.observe(time.monotonic() - began)
    except ClientStalled:
        outcome = "stalled"
        raise
    except ConnectionError:  # the client left
        raise
    except BucketzipError as raised:
        error = SourceChanged(f"{raised}; it was there when the archive was planned") if _vanished(raised) else raised
        outcome = error.code
        if isinstance(error, ContentMismatch):
            await opened.keep_refuted()
        if isinstance(error, SourceChanged | ContentMismatch):
            await app[keys.DOWNLOADS].changed(link, error)
        raise error from raised
    except Exception:
        outcome = BucketzipError.code
        raise
    finally:
        metrics.downloads_active.dec()
        metrics.downloads.labels(outcome).inc()
        _log.info(
            "download",
            extra={
                "link": link.id,
                "archive": link.filename,
                "outcome": outcome,
                "bytes": sent,
                "of_bytes": asked.stop - asked.start,
                "from_byte": asked.start,
                "entries": link.entries,
                "seconds": round(time.monotonic() - began, 3),
                "request_id": request[keys.REQUEST_ID],
            },
        )
    return response


async def _prime_slice(pump: Pump) -> None:
    """Wait for the first bytes, but not for ever: the CRCs they may wait for are learned without us, too."""
    try:
        async with asyncio.timeout(FIRST_BYTE_SECONDS):
            await pump.prime()
    except TimeoutError as error:
        if not pump.has_bytes:
            raise StillReading from error


def _vanished(error: BucketzipError) -> bool:
    return isinstance(error, NoSuchObject | NoSuchBucket)


@asynccontextmanager
async def look_up(request: web.Request) -> AsyncIterator[tuple[Link, Opened]]:
    """The link in the request's path and its archive; raises what keeps it from being given out."""
    app = request.app
    link = await app[keys.DOWNLOADS].planned(request.match_info["capability"], app[keys.SETTINGS].planning_wait_seconds)
    if link is None:
        raise NoSuchLink
    if link.expires_at <= time.time():
        raise LinkExpired
    if link.state == "planning":
        raise StillPlanning
    async with app[keys.DOWNLOADS].opened(link) as opened:
        yield link, opened


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
