"""Sessions, for the console: a browser keeps a token in a cookie, and shows it by itself."""

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bucketzip.web import keys
from bucketzip.web.auth import begin_session, end_session, issue_token, require_mark
from bucketzip.web.bodies import read_body


class Login(BaseModel):
    """The body of POST /session."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    user_key: str = Field(max_length=256)
    user_secret: SecretStr = Field(max_length=256)


async def begin(request: web.Request) -> web.Response:
    """POST /session: log in."""
    require_mark(request)
    login = await read_body(request, Login)
    token = await issue_token(request, login.user_key, login.user_secret.get_secret_value())
    response = _told(request)
    begin_session(request, response, token)
    return response


async def show(request: web.Request) -> web.Response:
    """GET /session: who the server takes the client for."""
    return _told(request)


async def end(request: web.Request) -> web.Response:
    """DELETE /session: log out, also where nobody is logged in."""
    require_mark(request)
    response = web.Response(status=204)
    end_session(response)
    return response


def _told(request: web.Request) -> web.Response:
    caller = request[keys.CALLER]
    told = {"user": caller.owner, "role": caller.role, "buckets": caller.buckets}
    return web.json_response(told)
