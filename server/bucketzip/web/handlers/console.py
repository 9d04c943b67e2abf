"""The console: a page for people, of files that are served as they are. All that it knows, it asks the API for."""

import asyncio
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from aiohttp import web

from bucketzip.errors import NotFound
from bucketzip.web.static import StaticText

PAGE = "index.html"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


async def home(_: web.Request) -> web.Response:
    """GET /: to the page."""
    return web.Response(status=302, headers={"Location": "console"})  # relative, for proxies that serve it in a folder


async def home_of_folder(_: web.Request) -> web.Response:
    """GET /console/: to the page, whose addresses are not relative to a folder."""
    return web.Response(status=302, headers={"Location": "../console"})


async def page(request: web.Request) -> web.Response:
    """GET /console."""
    return (await asyncio.to_thread(_files))[PAGE].answer(request)


async def file(request: web.Request) -> web.Response:
    """GET /console/{file}: what the page is made of. Raises NotFound."""
    found = (await asyncio.to_thread(_files)).get(request.match_info["file"])
    if found is None:
        raise NotFound
    return found.answer(request)


@cache
def _files() -> Mapping[str, StaticText]:
    policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return {
        each.name: StaticText(each.read_bytes(), _CONTENT_TYPES[each.name.rpartition(".")[2]], **policy)
        for each in files("bucketzip.web").joinpath("console").iterdir()
    }
