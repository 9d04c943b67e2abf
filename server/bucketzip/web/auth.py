"""Who may ask at all: the first thing that is decided of a request.

By a token (`Authorization: Bearer`), by the cookie of a session, which holds a token, or by the network that the
connection comes from. What a browser sends by itself, wherever the page is from that makes it do so, is no proof that
its user wanted that (CSRF). So what changes something needs the header `X-Requested-With` too, unless a token came in
a header: no page can send either to another origin unless that allows it. `Sec-Fetch-Site` would do without, but
browsers send it over https only, and this server is used over plain HTTP in private networks.
"""

import logging

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bucketzip.errors import Forbidden, TooManyAttempts, Unauthenticated
from bucketzip.state.tokens import LIFETIME_SECONDS
from bucketzip.web import keys
from bucketzip.web.access import Access
from bucketzip.web.caller import TRUSTED, Caller, caller_of
from bucketzip.web.peers import peer

_log = logging.getLogger(__name__)

COOKIE = "bucketzip-session"
MARK = "bucketzip"
"""The value of `X-Requested-With`."""
_SAFE = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_BROWSERS_OWN = ("Origin", "Sec-Fetch-Site", "Referer")


@web.middleware
async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks; nobody else gets to the handler."""
    access = request.app[keys.ACCESS].get(request.match_info.handler, Access.USER)
    if not (access is Access.PUBLIC or (access is Access.METRICS and _collects_metrics(request))):
        request[keys.CALLER] = await _caller(request)
    return await handler(request)


async def issue_token(request: web.Request, user_key: str, user_secret: str) -> str:
    """A token for who knows the secret; raises Unauthenticated and TooManyAttempts, and counts and logs those."""
    authority = request.app[keys.AUTHORITY]
    try:
        user = await authority.log_in(user_key, user_secret, peer(request))
    except (Unauthenticated, TooManyAttempts) as error:
        known = await authority.users.get(user_key) if user_key.isalnum() else None
        _log.warning(
            "refused: %s",
            error.code,
            # A text that is nobody's key may be a secret that was put into the wrong field.
            extra={
                "who": user_key if known else "unknown",
                "peer": str(peer(request)),
                "request_id": request[keys.REQUEST_ID],
            },
        )
        raise
    request[keys.CALLER] = caller_of(user)
    return authority.tokens.issue(user)


def begin_session(request: web.Request, response: web.Response, token: str) -> None:
    """Give the browser a token to keep, which no script can read and no other site can make it send."""
    over_tls = request.secure or request.app[keys.SETTINGS].public_url.startswith("https://")
    response.set_cookie(COOKIE, token, max_age=LIFETIME_SECONDS, httponly=True, samesite="Strict", secure=over_tls)


def end_session(response: web.Response) -> None:
    """Have the browser forget it."""
    response.del_cookie(COOKIE, httponly=True, samesite="Strict")


def require_mark(request: web.Request) -> None:
    """Raises Forbidden for what a page of another origin may have made the browser send."""
    if request.headers.get("X-Requested-With") != MARK:
        request.app[keys.METRICS].auth_failures.labels("cross_site").inc()
        raise Forbidden(f"From a browser this needs the header `X-Requested-With: {MARK}`, or a token in a header.")


async def _caller(request: web.Request) -> Caller:
    authority, token = request.app[keys.AUTHORITY], _bearer(request)
    if token is not None:
        user, _ = await authority.user_of(token)
        return caller_of(user)
    if (kept := request.cookies.get(COOKIE)) is not None:
        user, _ = await authority.user_of(kept)
        if request.method not in _SAFE:
            require_mark(request)
        return caller_of(user)
    if not authority.trusts(peer(request)):
        raise authority.no_token()
    if request.method not in _SAFE and any(name in request.headers for name in _BROWSERS_OWN):
        require_mark(request)
    return TRUSTED


def _collects_metrics(request: web.Request) -> bool:
    authority, asks, token = request.app[keys.AUTHORITY], peer(request), _bearer(request)
    if token is None:
        return (asks is not None and asks.is_loopback) or authority.trusts(asks)
    return authority.is_metrics_token(token)


def _bearer(request: web.Request) -> str | None:
    """The token of the header. Other schemes are those of proxies in front, which pass them on."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
