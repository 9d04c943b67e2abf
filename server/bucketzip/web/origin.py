"""By which address this server is reached."""

from aiohttp import web

from bucketzip.web import keys


def origin(request: web.Request) -> str:
    """What a URL given to this client starts with: the setting `public_url`, else as the client came."""
    return request.app[keys.SETTINGS].public_url or str(request.url.origin())
