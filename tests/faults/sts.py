"""STS as far as roles and identities go: who asks must be signed in, and ask just as the API reference has it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.identities import Keys

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/\d{8}/([a-z0-9-]+)/sts/aws4_request, SignedHeaders=[a-z0-9;-]+, "
    r"Signature=\w{64}"
)


class STS:
    """`async with STS(...) as sts:` answers at `sts.endpoint_url`. `roles` has, by ARN, the external id that it wants.

    `asked` keeps the parameters of each request; `give` makes the keys of a session, which end after `valid_seconds`.
    """

    endpoint_url: str

    def __init__(self, signer: str, roles: dict[str, str | None], give: Callable[[], Keys]) -> None:
        self.signer = signer
        self.roles = roles
        self.give = give
        self.valid_seconds = 3600.0
        self.asked: list[dict[str, str]] = []

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.endpoint_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        asked = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(asked)
        signed = _SIGNED.fullmatch(request.headers.get("Authorization", ""))
        if signed is None or signed.groups() != (self.signer, "us-east-1"):
            return _refused("MissingAuthenticationToken", "Request is missing Authentication Token")
        if asked == {"Action": "GetCallerIdentity", "Version": "2011-06-15"}:
            return _identity(self.signer)
        role = asked.get("RoleArn", "")
        known = {"Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"}
        if (asked.get("Action"), asked.get("Version")) != ("AssumeRole", "2011-06-15") or not set(asked) <= known:
            return _refused("InvalidAction", "this is neither AssumeRole nor GetCallerIdentity")
        if role not in self.roles or asked.get("ExternalId") != self.roles[role]:
            return _refused(
                "AccessDenied", f"User: {self.signer} is not authorized to perform: sts:AssumeRole on {role}"
            )
        keys, ends = self.give(), datetime.now(UTC) + timedelta(seconds=self.valid_seconds)
        return web.Response(
            content_type="text/xml",
            text=f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>{role}</Arn><AssumedRoleId>AROA:bucketzip</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>{keys.access_key}</AccessKeyId><SecretAccessKey>{keys.secret_key}</SecretAccessKey>
<SessionToken></SessionToken><Expiration>{ends:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>""",
        )


def _identity(signer: str) -> web.Response:
    return web.Response(
        content_type="text/xml",
        text=f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::111122223333:user/{signer}</Arn><UserId>AIDA:bucketzip</UserId><Account>111122223333</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>""",
    )


def _refused(code: str, message: str) -> web.Response:
    return web.Response(
        status=403,
        content_type="text/xml",
        text=f"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>""",
    )
