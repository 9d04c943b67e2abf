"""The description of this API, for people and for programs."""

import asyncio
from functools import cache
from importlib.resources import files

from aiohttp import web


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.yaml."""
    return web.Response(body=await asyncio.to_thread(_description), content_type="application/yaml")


@cache
def _description() -> bytes:
    return files("bucketzip.web").joinpath("openapi.yaml").read_bytes()
