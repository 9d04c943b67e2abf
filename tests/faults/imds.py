"""The instance metadata service of EC2 as version 2 has it: no answer without a token.

A process is pointed at it by `environment()`. Credentials can rotate, be about to expire, or fail.
"""

import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from aiohttp import web

TOKEN = "X-aws-ec2-metadata-token"
TOKEN_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
LONGEST_TTL_SECONDS = 21_600


@dataclass(slots=True)
class RoleCredentials:
    access_key: str = field(default_factory=lambda: f"ASIA{secrets.token_hex(8).upper()}")
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(60))
    expires: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=6))


class InstanceMetadata:
    """`async with InstanceMetadata() as imds:` answers at `imds.endpoint_url`.

    `requests` counts by path. A path in `failing` is answered with that status, e.g. `{imds.credentials_path: 500}`;
    no `role` means that the instance has none.
    """

    token_path = "/latest/api/token"
    roles_path = "/latest/meta-data/iam/security-credentials/"
    region_path = "/latest/meta-data/placement/region"
    zone_path = "/latest/meta-data/placement/availability-zone"
    identity_path = "/latest/dynamic/instance-identity/document"
    endpoint_url: str

    def __init__(
        self,
        *,
        role: str | None = "archive-role",
        region: str = "us-east-1",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._place = (host, port)
        self.role = role
        self.region = region
        self.credentials = RoleCredentials()
        self.failing: dict[str, int] = {}
        self.requests: Counter[str] = Counter()
        self._tokens: dict[str, float] = {}

    @property
    def credentials_path(self) -> str:
        return f"{self.roles_path}{self.role}"

    def rotate(self, *, valid_for_seconds: float = 6 * 3600) -> RoleCredentials:
        """Give new credentials from now on, as EC2 does well before the old ones end.

        botocore takes what ends within 12 to 20 minutes for valid that long again, and does not ask before.
        """
        self.credentials = RoleCredentials(expires=datetime.now(UTC) + timedelta(seconds=valid_for_seconds))
        return self.credentials

    def forget_tokens(self) -> None:
        """Every token given so far ends now, as after a stop and start of the instance."""
        self._tokens.clear()

    def environment(self) -> dict[str, str]:
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.endpoint_url, "AWS_EC2_METADATA_DISABLED": "false"}

    async def __aenter__(self) -> Self:
        server = web.Server(self._serve, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._place).start()
        self.endpoint_url = f"http://{self._place[0]}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests[request.path] += 1
        if status := self.failing.get(request.path):
            return web.Response(status=status)
        if request.path == self.token_path:
            return self._give_token(request)
        if self._tokens.get(request.headers.get(TOKEN, ""), 0.0) < time.monotonic():
            return web.Response(status=401)
        return self._give_document(request.path)

    def _give_token(self, request: web.BaseRequest) -> web.Response:
        if request.method != "PUT":
            return web.Response(status=405)
        if "X-Forwarded-For" in request.headers:
            return web.Response(status=403)  # the service refuses what came through a proxy
        ttl = request.headers.get(TOKEN_TTL, "")
        if not ttl.isdecimal() or not 1 <= int(ttl) <= LONGEST_TTL_SECONDS:
            return web.Response(status=400)
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + int(ttl)
        return web.Response(text=token, headers={TOKEN_TTL: ttl})

    def _give_document(self, path: str) -> web.Response:
        zone = f"{self.region}a"
        texts = {
            "/latest/meta-data/instance-id": "i-0123456789abcdef0",
            self.region_path: self.region,
            self.zone_path: zone,
            f"{self.zone_path}/": zone,
        }
        if self.role:
            texts[self.roles_path] = self.role
        if path in texts:
            return web.Response(text=texts[path])
        if path == self.identity_path:
            return web.json_response(
                {"region": self.region, "availabilityZone": zone, "instanceId": "i-0123456789abcdef0"}
            )
        if self.role and path == self.credentials_path:
            return web.json_response(
                {
                    "Code": "Success",
                    "LastUpdated": _iso(datetime.now(UTC)),
                    "Type": "AWS-HMAC",
                    "AccessKeyId": self.credentials.access_key,
                    "SecretAccessKey": self.credentials.secret_key,
                    "Token": self.credentials.token,
                    "Expiration": _iso(self.credentials.expires),
                }
            )
        return web.Response(status=404)


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
