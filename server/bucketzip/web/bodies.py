"""What clients send, as models; all that is wrong with it, within reason, in one error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from bucketzip.errors import InvalidRequest, RequestTimeout, UnsupportedEncoding
from bucketzip.web import keys
from bucketzip.wording import mistake

MAX_KEY = 255
SHOWN = 20
"""How many mistakes an error tells: a megabyte of them would come back as thirteen."""
MAX_TOLD = 400
"""Characters of one of them; it may quote what was sent."""

M = TypeVar("M", bound=BaseModel)


async def read_body(request: web.Request, model: type[M]) -> M:
    """The JSON body; raises InvalidRequest, RequestTimeout and UnsupportedEncoding."""
    async with in_time(request):
        body = await request.read()
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refused(error, model, "the body", "field") from error


@asynccontextmanager
async def in_time(request: web.Request) -> AsyncIterator[None]:
    """For reading a body of any kind: no client keeps us waiting for ever, or has us unfold what it folded.

    Raises RequestTimeout, UnsupportedEncoding and InvalidRequest.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedEncoding
    try:
        async with asyncio.timeout(request.app[keys.SETTINGS].client_read_seconds):
            yield
    except TimeoutError as error:
        raise RequestTimeout from error
    except web.RequestPayloadError as error:
        raise InvalidRequest("the body is not what Transfer-Encoding says") from error


def idempotency_key(request: web.Request) -> str | None:
    """What makes a repeated request the same one; raises InvalidRequest."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequest(f"Idempotency-Key: 1 to {MAX_KEY} printable ASCII characters")
    return key


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
        return f"{where}: {mistake(message)}"

    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    told = [said(each["loc"], each["msg"], each["type"])[:MAX_TOLD] for each in mistakes[:SHOWN]]
    more = len(mistakes) - SHOWN
    return InvalidRequest("; ".join(told) + (f"; and {more:,} more" if more > 0 else ""))
