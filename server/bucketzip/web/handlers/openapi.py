"""The description of this API, for programs and for people."""

import asyncio
from functools import cache
from importlib.resources import files

import yaml
from aiohttp import web

from bucketzip.web.reference import CONTENT_SECURITY_POLICY, page
from bucketzip.web.static import StaticText

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, where PyYAML was built so: 60 ms instead of 700


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.yaml."""
    return (await asyncio.to_thread(_yaml)).answer(request)


async def docs(request: web.Request) -> web.Response:
    """GET /docs: the same to be read."""
    return (await asyncio.to_thread(_html)).answer(request)


def _read() -> bytes:
    return files("bucketzip.web").joinpath("openapi.yaml").read_bytes()


@cache
def _yaml() -> StaticText:
    return StaticText(_read(), "application/yaml")


@cache
def _html() -> StaticText:
    policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    description = yaml.load(_read(), _Loader)  # noqa: S506  -- either is a SafeLoader
    return StaticText(page(description).encode(), "text/html; charset=utf-8", **policy)
