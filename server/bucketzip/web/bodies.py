"""What clients send, as models; all that is wrong with it in one error."""

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from bucketzip.errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)


async def read_body(request: web.Request, model: type[M]) -> M:
    """The JSON body; raises InvalidRequest."""
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        raise _refused(error, model, "the body", "field") from error


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

    return InvalidRequest("; ".join(said(each["loc"], each["msg"], each["type"]) for each in error.errors()))
