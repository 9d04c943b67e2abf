"""What clients send, as models; all that is wrong with it in one error."""

import asyncio
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from bucketzip.errors import InvalidRequest, RequestTooSlow, UnsupportedEncoding
from bucketzip.web import keys

MAX_KEY = 255
SHOWN = 20
"""How many mistakes an error tells."""
MAX_TOLD = 400
"""Characters of one of them; it may quote what was sent."""

M = TypeVar("M", bound=BaseModel)


async def read_body(request: web.Request, model: type[M]) -> M:
    """The JSON body; raises InvalidRequest, RequestTooSlow, UnsupportedEncoding."""
    body = await _body(request)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refused(error, model, "the body", "field") from error


def idempotency_key(request: web.Request) -> str | None:
    """What makes a repeated request the same one; raises InvalidRequest."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequest(f"Idempotency-Key: 1 to {MAX_KEY} printable ASCII characters")
    return key


async def _body(request: web.Request) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedEncoding
    try:
        async with asyncio.timeout(request.app[keys.SETTINGS].client_stall_seconds):
            return await request.read()
    except TimeoutError as error:
        raise RequestTooSlow from error


def read_query(request: web.Request, model: type[M]) -> M:
    """The query parameters; raises InvalidRequest. Of one that is there several times the last counts."""
    try:
        return model.model_validate_strings(dict(request.query))
    except ValidationError as error:
        raise _refused(error, model, "the query", "parameter") from error


def _refused(error: ValidationError, model: type[BaseModel], whole: str, part: str) -> InvalidRequest:
    known = ", ".join(model.model_fields)

    def said(location: tuple[int | str, ...], message: str, kind: str) -> str:
        where = ".".join(map(str, location)) or whole
        if kind == "extra_forbidden":
            return f"{where}: unknown {part}" + (f" (known: {known})" if len(location) == 1 else "")
        return f"{where}: {message}"

    mistakes = error.errors(include_input=False, include_url=False)
    told = [said(each["loc"], each["msg"], each["type"])[:MAX_TOLD] for each in mistakes[:SHOWN]]
    more = len(mistakes) - SHOWN
    return InvalidRequest("; ".join(told) + (f"; and {more:,} more" if more > 0 else ""))
