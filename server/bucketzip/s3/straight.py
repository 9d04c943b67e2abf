"""botocore's HTTP, without following redirections: botocore itself does where S3 tells another region, and signs anew.

aiobotocore's own would go wherever an answer says, so whoever answers could choose whom this machine asks.
"""

import ssl
from functools import cache, partial
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession


class _Straight:
    def __init__(self, session: Any) -> None:
        self.request = partial(session.request, allow_redirects=False)


class StraightSession(AIOHTTPSession):
    """For `AioConfig`."""

    def _build_verify_context(self) -> ssl.SSLContext:
        return _trusting(self._verify)  # type: ignore[attr-defined]  # the stubs lack it

    async def _get_session(self, proxy_url: str | None) -> Any:
        return _Straight(await super()._get_session(proxy_url))  # type: ignore[misc]  # the stubs lack it


@cache
def _trusting(verify: bool | str) -> ssl.SSLContext:  # noqa: FBT001  -- as botocore says it: a file, or the usual authorities
    """One for all clients of a process: to read all authorities takes 50 ms and a megabyte (measured)."""
    made = AIOHTTPSession(verify)  # type: ignore[arg-type]  # and that it may be a file
    return made._build_verify_context()  # type: ignore[attr-defined, no-any-return]  # noqa: SLF001  -- overridden above
