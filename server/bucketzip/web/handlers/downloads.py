"""Download links, and the archives behind them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from bucketzip.archive.deflated import Compression
from bucketzip.errors import (
    BucketzipError,
    ContentMismatch,
    NoSuchBucket,
    NoSuchLink,
    NoSuchObject,
    PreconditionFailed,
    RangeNotSatisfiable,
    SourceChanged,
    StillReading,
)
from bucketzip.plan.request import DownloadRequest
from bucketzip.state.links import Link
from bucketzip.transfer.opened import Opened
from bucketzip.transfer.pump import ClientStalled, Pump
from bucketzip.web import keys
from bucketzip.web.bodies import idempotency_key, read_body
from bucketzip.web.disposition import attachment
from bucketzip.web.handlers.links import compression_of, told, url_of
from bucketzip.web.middleware import exemplar
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
    downloads = app[keys.DOWNLOADS]
    made, new = await downloads.create_once(wanted, request[keys.CALLER].owner, idempotency_key(request))
    link = await downloads.planned(downloads.capability(made), app[keys.SETTINGS].planning_wait_seconds)
    assert link is not None
    headers = {"Location": url_of(request, link)}
    if link.standing(time.time()) == "planning":
        return web.json_response(await told(request, link), status=202, headers=headers)
    async with downloads.opened(link):  # raises what planning ended with
        pass
    if new:
        app[keys.METRICS].plan_seconds.observe(time.monotonic() - began, exemplar(request))
    return web.json_response(await told(request, link), status=201 if new else 200, headers=headers)


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
            "Cache-Control": "private, no-transform",
        }
    )
    compression = compression_of(link)
    if compression is not None:
        return await _answer_compressed(request, link, opened, response, compression)
    response.headers.update({"Accept-Ranges": "bytes", "ETag": opened.layout.etag})
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
    with app[keys.DOWNLOAD_LIMITS].admitted(link.owner):
        return await _send(request, link, opened, response, asked)


async def _send(
    request: web.Request, link: Link, opened: Opened, response: web.StreamResponse, asked: Asked
) -> web.StreamResponse:
    length = asked.stop - asked.start
    async with _watched(request, link, opened, length, asked.start) as sent:
        with opened.sending(asked.start, asked.stop) as pump:
            try:
                await (pump.prime() if asked.outcome is Outcome.FULL else _prime_slice(pump))
                await response.prepare(request)
                sink = ResponseSink(request, response, length)
                await pump.run(sink)
                await sink.finish()
            finally:
                sent.bytes = pump.sent_bytes
    return response


async def _answer_compressed(
    request: web.Request, link: Link, opened: Opened, response: web.StreamResponse, compression: Compression
) -> web.StreamResponse:
    """The archive is made once, from front to end: it has no length, no ranges and nothing to compare it by."""
    response.headers["Accept-Ranges"] = "none"
    if request.headers.get("If-Match", "*").strip() != "*":
        raise PreconditionFailed
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    with request.app[keys.DOWNLOAD_LIMITS].admitted(link.owner):
        return await _send_compressed(request, link, opened, response, compression)


async def _send_compressed(
    request: web.Request, link: Link, opened: Opened, response: web.StreamResponse, compression: Compression
) -> web.StreamResponse:
    sink = ResponseSink(request, response, None)
    async with _watched(request, link, opened, None) as sent:
        archive, compressor = opened.compressed(compression), request.app[keys.COMPRESSOR]
        with opened.deflating(archive, compressor, opened.to_client(sink)) as (pump, deflating):
            try:
                await pump.prime()
                await response.prepare(request)
                await pump.run(deflating)
                await deflating.finish()
                await sink.finish()
            finally:
                sent.bytes = deflating.sent_bytes
    return response


@dataclass
class _Sent:
    bytes: int = 0


@asynccontextmanager
async def _watched(
    request: web.Request, link: Link, opened: Opened, length: int | None, start: int = 0
) -> AsyncIterator[_Sent]:
    """Count and log how a download ends, and mark the link where a source has changed."""
    app, metrics = request.app, request.app[keys.METRICS]
    began, outcome, sent = time.monotonic(), "client_gone", _Sent()
    metrics.downloads_active.inc()
    try:
        with app[keys.DOWNLOADS].activity.counted(link.id):
            async with app[keys.DOWNLOADS].revocations.heeded(link.id):
                yield sent
        outcome = "complete"
        metrics.download_seconds.observe(time.monotonic() - began, exemplar(request))
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
        metrics.sent_bytes.inc(sent.bytes)
        _log.info(
            "download",
            extra={
                "link": link.id,
                "archive": link.filename,
                "outcome": outcome,
                "bytes": sent.bytes,
                "of_bytes": length,
                "from_byte": start,
                "entries": link.entries,
                "seconds": round(time.monotonic() - began, 3),
                "request_id": request[keys.REQUEST_ID],
            },
        )


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
    async with app[keys.DOWNLOADS].opened(link) as opened:
        yield link, opened
