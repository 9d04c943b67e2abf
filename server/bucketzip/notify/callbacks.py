"""Callbacks: a signed POST to a URL that somebody outside has chosen, so nothing about it is trusted.

Each is sent over a connection of its own, straight to an address that was judged when the socket was made: what a name
led to a moment before decides nothing. No proxy, cookie, redirect or `.netrc` takes part, and the body of the answer is
not read.
"""

import asyncio
import json
import logging
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp.abc import AbstractResolver

from bucketzip import __version__
from bucketzip.networks import Network
from bucketzip.notify.addresses import is_allowed
from bucketzip.notify.event import Event
from bucketzip.notify.failure import NotDelivered
from bucketzip.notify.names import Names
from bucketzip.notify.signature import callback_secret, signature
from bucketzip.state.instance_key import InstanceKey

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 15.0
ANSWER_BYTES = 4096
"""Most that is taken of an answer's body, should it come with the head."""
AGAIN = frozenset({408, 425, 429})
"""Of the answers 4xx, those that may be another one later."""
SENDER = f"bucketzip/{__version__}"


class _Refused(OSError):
    """Callbacks may not go there. It does not say where: names of a private network are nobody's business."""

    def __init__(self) -> None:
        super().__init__("no callback may be sent to the address of this host")


class Callbacks:
    """Sends them. `networks` are allowed beside public addresses; `tls` makes what says whom to trust."""

    def __init__(
        self,
        key: InstanceKey,
        networks: tuple[Network, ...],
        tls: Callable[[], ssl.SSLContext],
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._key = key
        self._networks = networks
        self._tls = tls
        self._resolver = resolver or Names()

    async def send(self, target: str, event: Event) -> str:
        """Send it and return the outcome; raises NotDelivered."""
        body = json.dumps(event.as_json()).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": SENDER,
            "Bucketzip-Event": event.type,
            "Bucketzip-Delivery": event.id,
            "Bucketzip-Signature": signature(callback_secret(self._key, event.owner), int(time.time()), body),
        }
        connector = aiohttp.TCPConnector(
            ssl=await asyncio.to_thread(self._tls),
            socket_factory=self._socket,
            resolver=self._resolver,
            use_dns_cache=False,
            force_close=True,
        )
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                    trust_env=False,
                    auto_decompress=False,
                    read_bufsize=ANSWER_BYTES,
                ) as session,
                session.post(target, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return _outcome(answer.status, answer.headers.get("Retry-After"))
        except TimeoutError as error:
            raise NotDelivered(f"no answer within {TIMEOUT_SECONDS:g} s") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _Refused):
                raise NotDelivered(str(error.os_error), final=True) from error
            raise NotDelivered(_why(error)) from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise NotDelivered("this is not a URL", final=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise NotDelivered(_why(error)) from error

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """A socket for just this address, if it may be connected to."""
        family, kind, protocol, _, (host, *_) = address
        if family not in {socket.AF_INET, socket.AF_INET6} or not is_allowed(str(host), self._networks):
            _log.warning("a callback to %s was refused", host)
            raise _Refused
        return socket.socket(family, kind, protocol)


def _outcome(status: int, retry_after: str | None) -> str:
    outcome = f"HTTP {status}"
    if 200 <= status < 300:  # noqa: PLR2004  -- the classes of RFC 9110, here and below
        return outcome
    if 300 <= status < 400:  # noqa: PLR2004
        raise NotDelivered(f"{outcome}: redirects are not followed", final=True)
    final = 400 <= status < 500 and status not in AGAIN  # noqa: PLR2004
    raise NotDelivered(outcome, final=final, retry_after_seconds=_seconds(retry_after))


def _seconds(retry_after: str | None) -> float:
    """From now; a Retry-After that says nothing sensible is none."""
    try:
        if retry_after is None or (retry_after.isascii() and retry_after.isdigit()):
            return float(retry_after or 0)
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _why(error: Exception) -> str:
    """What of it its owner may know: nothing about names and addresses behind the URL."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientSSLError):
        return "TLS could not be agreed on"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return "the connection broke"
