"""Which web pages may call this API from a browser (Fetch Standard, 3.2), and which may not even try.

A browser sends a simple POST of any page to any server, without asking first. Where this server trusts a network, that
would be a way in: so what changes something is refused when it comes from another page than ours or an allowed one.
Cookies are never let in from other pages.
"""

from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bucketzip.errors import OriginNotAllowed
from bucketzip.web import keys
from bucketzip.web.origin import origin

PREFLIGHT_KEPT_SECONDS = 600
_READ_ONLY = {hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS}
_REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, Last-Event-ID, Range, "
    "X-Request-Id"
)
_EXPOSED = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Location, Retry-After, X-Request-Id"
)


@web.middleware
async def cross_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer preflights; refuse what a page of another origin may not do. Raises OriginNotAllowed."""
    asked = request.headers.get(hdrs.ORIGIN)
    if asked is None or _is_ours(asked, request):
        return await handler(request)
    if not _allowed(asked, request):
        if request.method not in _READ_ONLY:
            raise OriginNotAllowed
        return await handler(request)
    if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
        refused = request.match_info.http_exception
        if isinstance(refused, web.HTTPMethodNotAllowed):  # there are others
            return _preflight(refused.allowed_methods)
    return await handler(request)


async def tell_origin(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: let the page read the answer, if it may."""
    allowed = request.app[keys.SETTINGS].cors_origins
    if not allowed:
        return
    if allowed != "*":
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    asked = request.headers.get(hdrs.ORIGIN)
    if asked is not None and _allowed(asked, request):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*" if allowed == "*" else asked
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED


def _preflight(methods: set[str]) -> web.Response:
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(methods)),
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_KEPT_SECONDS),
        },
    )


def _allowed(asked: str, request: web.Request) -> bool:
    allowed = request.app[keys.SETTINGS].cors_origins
    return allowed == "*" or asked in allowed.split(",")


def _is_ours(asked: str, request: web.Request) -> bool:
    """By host and port: a proxy in front may speak TLS."""
    return urlsplit(asked).netloc in {request.host, urlsplit(origin(request)).netloc}
