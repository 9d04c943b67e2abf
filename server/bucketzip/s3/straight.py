"""botocore's HTTP, without following redirections: botocore itself does where S3 tells another region, and signs anew.

aiobotocore's own would go wherever an answer says, so whoever answers could choose whom this machine asks.
"""

from functools import partial
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession


class _Straight:
    def __init__(self, session: Any) -> None:
        self.request = partial(session.request, allow_redirects=False)


class StraightSession(AIOHTTPSession):
    """For `AioConfig`."""

    async def _get_session(self, proxy_url: str | None) -> Any:
        return _Straight(await super()._get_session(proxy_url))  # type: ignore[misc]  # the stubs lack it
