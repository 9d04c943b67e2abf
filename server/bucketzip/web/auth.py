"""Who may ask at all."""

from aiohttp import web
from aiohttp.typedefs import Handler

from bucketzip.web import keys
from bucketzip.web.caller import TRUSTED


@web.middleware
async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks."""
    request[keys.CALLER] = TRUSTED
    return await handler(request)
