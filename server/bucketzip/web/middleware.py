"""What every request goes through: an id, its measurements, and errors as JSON while an answer can still be given."""

import asyncio
import logging
import re
import secrets
import time
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler

from bucketzip.errors import BucketzipError, MethodNotAllowed, NotFound, RequestTooLarge
from bucketzip.logs import about
from bucketzip.web import keys
from bucketzip.web.send import break_off

_log = logging.getLogger(__name__)
_access_log = logging.getLogger("bucketzip.access")

UNKNOWN = "unknown"
"""The route where there is none."""
BROKEN = "broken"
"""The status where the answer did not come to its end."""
CLIENT_GONE, MALFORMED = "client_gone", "malformed"
"""Outcomes that are no error's code: `malformed` is what aiohttp could not read, and refused."""

_TELLABLE = re.compile(r"[A-Za-z0-9._:=;-]{1,128}")
"""A client's own id for its request that may stand in a log: those of AWS's load balancers are such."""

_HTTP_ERRORS: dict[int, type[BucketzipError]] = {404: NotFound, 405: MethodNotAllowed, 413: RequestTooLarge}


class BrokenOff(ConnectionError):
    """The answer had begun: the connection was broken, so that no client takes what it has for the whole."""


def unexpected(record: logging.LogRecord) -> bool:
    """A filter for aiohttp's own log.

    What we broke off has been logged already, with its reason. Of what is no HTTP it would quote the line, which may
    hold a token.
    """
    ours_or_no_http = BrokenOff | web.RequestPayloadError | HttpProcessingError
    return not (record.exc_info and isinstance(record.exc_info[1], ours_or_no_http))


def error_response(error: BucketzipError, request: web.Request) -> web.Response:
    """The JSON that every error has."""
    request[keys.OUTCOME] = error.code
    return web.json_response(
        {"error": error.code, "detail": str(error), "request_id": request[keys.REQUEST_ID]},
        status=error.status,
        headers=error.headers,
    )


async def note_body_started(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: what every answer says.

    Most answers hold links, so nobody keeps one unless its handler says so. None is a page that may be framed, run a
    script or tell another site where it was.
    """
    request[keys.BODY_STARTED] = True
    headers = response.headers
    headers["X-Request-Id"] = request[keys.REQUEST_ID]
    headers["Server"] = "bucketzip"
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers["Referrer-Policy"] = "no-referrer"
    headers["X-Content-Type-Options"] = "nosniff"


def exemplar(request: web.Request) -> dict[str, str]:
    """What leads from a measurement to the lines of the log about it."""
    return {"request_id": request[keys.REQUEST_ID]}


@web.middleware
async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, count it and its time by route."""
    request[keys.REQUEST_ID] = secrets.token_hex(8)  # never the client's: two could have the same
    metrics = request.app[keys.METRICS]
    resource = request.match_info.route.resource
    route = request[keys.ROUTE] = resource.canonical if resource is not None else UNKNOWN
    began = time.monotonic()
    status = BROKEN
    try:
        with about(request_id=request[keys.REQUEST_ID]):
            response = await handler(request)
        status = str(response.status)
    except (asyncio.CancelledError, ConnectionError):  # aiohttp logs only what was answered
        request.setdefault(keys.OUTCOME, CLIENT_GONE)
        _log_request(_access_log, request, status, request.writer.output_size, time.monotonic() - began)
        raise
    finally:
        metrics.requests.labels(route, request.method, status).inc()
        metrics.request_seconds.labels(route).observe(time.monotonic() - began, exemplar(request))
    return response


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into an answer, or break the connection where an answer has begun."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        kind = _HTTP_ERRORS.get(error.status)
        if kind is None:
            raise
        ours = kind()
        response = error_response(ours, request)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except Exception as error:
        begun, request_id = request.get(keys.BODY_STARTED, False), request[keys.REQUEST_ID]
        if begun:
            break_off(request)
        if begun and isinstance(error, ConnectionError):
            raise BrokenOff from error  # the client's doing
        ours = error if isinstance(error, BucketzipError) else BucketzipError()
        if ours is not error:
            _log.exception("unexpected error", extra={"request_id": request_id})
        if begun:
            request[keys.OUTCOME] = ours.code
            request.app[keys.METRICS].errors.labels(ours.code).inc()
            _log.error("answer broken off: %s", ours, extra={"request_id": request_id})
            raise BrokenOff from error
        response = error_response(ours, request)
    request.app[keys.METRICS].errors.labels(ours.code).inc()
    return response


async def watch_loop_lag(app: web.Application) -> None:
    """Measure how late the event loop is, for ever."""
    loop, pause = asyncio.get_running_loop(), 0.25
    while True:
        due = loop.time() + pause
        await asyncio.sleep(pause)
        app[keys.METRICS].loop_lag_seconds.observe(max(0.0, loop.time() - due))


class AccessLogger(AbstractAccessLogger):
    """One line a request that was answered; `measured` writes those of the others."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log one request."""
        _log_request(self.logger, request, response.status, response.body_length, time)


def _log_request(
    logger: logging.Logger, request: web.BaseRequest, status: int | str, size_bytes: int, seconds: float
) -> None:
    """Who did what, and what came of it. Neither path, query nor headers: capabilities and tokens are in them."""
    caller = request.get(keys.CALLER)
    is_well = status == BROKEN or int(status) < HTTPStatus.BAD_REQUEST
    logger.info(
        "request",
        extra={
            "who": caller.owner if caller is not None else "",
            "method": request.method,
            "route": request.get(keys.ROUTE, UNKNOWN),
            "status": status,
            "outcome": request.get(keys.OUTCOME, "ok" if is_well else MALFORMED),
            "bytes": size_bytes,
            "seconds": round(seconds, 3),
            "peer": request.remote,
            "request_id": request.get(keys.REQUEST_ID, ""),
            **_client_request_id(request),
        },
    )


def _client_request_id(request: web.BaseRequest) -> dict[str, str]:
    told = request.headers.get("X-Request-Id", "")
    return {"client_request_id": told} if _TELLABLE.fullmatch(told) else {}
