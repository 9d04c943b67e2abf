"""Clients that show who they are, or do not, at a server that asks for it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bucketzip.state.users import Role, User
from bucketzip.web import keys
from tests.web.serving import Server


class Reply(NamedTuple):
    status: int
    json: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> tuple[int, str]:
        """The status and the code."""
        return self.status, self.json["error"]


class Asker:
    """Sends `headers` with every request to the server."""

    def __init__(self, server: Server, **headers: str) -> None:
        self._server = server
        self.headers = headers

    async def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._server.client.request(
            method, self._server.base + path, json=body, headers={**self.headers, **more}, allow_redirects=False
        ) as answer:
            told = await answer.json() if answer.content_type == "application/json" else None
            return Reply(answer.status, told, answer.headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def user_of(server: Server, role: Role = Role.USER, *buckets: str) -> tuple[User, str, Asker]:
    """A new user, the secret, and who asks with a token."""
    authority = server.app[keys.AUTHORITY]
    user, secret = await authority.users.add(role, buckets or ("*",))
    return user, secret, Asker(server, **bearer(authority.tokens.issue(user)))
