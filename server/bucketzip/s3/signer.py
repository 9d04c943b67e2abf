"""Tells whom S3 takes the server for: STS knows, and is asked once for each set of keys."""

import asyncio
import logging
import os
from urllib.parse import urlsplit

from bucketzip.errors import BucketzipError
from bucketzip.plan.signer import Signer
from bucketzip.s3.client import S3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.signing import Credentials
from bucketzip.s3.single_flight import SingleFlight
from bucketzip.s3.whoami import S3Whoami

_log = logging.getLogger(__name__)

ASKING_SECONDS = 3.0
"""A private network may have a way to S3 and none to STS; somebody waits for the answer."""
FAILED_SECONDS = 600.0
"""How long STS is left alone then."""


class S3Signer:
    """Calls itself what `plan.signer.TellSigner` is."""

    def __init__(self, s3: S3, region: str) -> None:
        self._s3 = s3
        self._region = region
        self._whoami = S3Whoami(s3.keeper, region)
        self._known: tuple[Credentials, str | None] | None = None
        """The last keys that STS was asked about, and what it said."""
        self._again_at = 0.0
        self._asking = SingleFlight[Credentials, str | None]()

    async def __call__(self) -> Signer:
        """As it is now; STS is waited for, but not long."""
        keeper = self._s3.keeper
        return Signer(
            region=self._region,
            endpoint=_without_user(str(self._s3.client.meta.endpoint_url)),
            source=keeper.method or None,
            principal=await self._principal(keeper),
            expires_at=keeper.expire_at,
            problem=keeper.problem,
        )

    async def _principal(self, keeper: CredentialKeeper) -> str | None:
        """The ARN of the keys of now; None also where another S3 than AWS's has no STS that we know of."""
        if self._s3.custom_endpoint and not os.environ.get("AWS_ENDPOINT_URL_STS"):
            return None
        try:
            keys = keeper.current()
        except BucketzipError:
            return None
        now = asyncio.get_running_loop().time()
        if self._known is not None and self._known[0] == keys and (self._known[1] or now < self._again_at):
            return self._known[1]
        arn = await self._asking.do(keys, self._ask)
        self._known, self._again_at = (keys, arn), asyncio.get_running_loop().time() + FAILED_SECONDS
        return arn

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(ASKING_SECONDS):
                return await self._whoami.principal()
        except (BucketzipError, TimeoutError) as error:
            _log.info("STS does not tell whose credentials these are: %s", error)
            return None


def _without_user(url: str) -> str:
    """A name and a password in a URL are nobody's business."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
