"""Whether what a request wants to be told can be told at all; said before anything is done for it."""

import re
from urllib.parse import urlsplit

from bucketzip.errors import InvalidRequest
from bucketzip.networks import Network
from bucketzip.notify.addresses import ANYWHERE, is_allowed, parse_address
from bucketzip.plan.request import ZipRequest

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
"""RFC 5321's Mailbox, without quoted strings and address literals."""


class Acceptance:
    """`networks` are where callbacks may go beside public addresses; `missing` are the settings that mail wants."""

    def __init__(self, networks: tuple[Network, ...], missing: tuple[str, ...]) -> None:
        self._networks = networks
        self._missing = missing

    def check(self, request: ZipRequest) -> None:
        """Raise InvalidRequest where it cannot."""
        if request.callback_url is not None:
            self._check_url(request.callback_url)
        if request.email is not None:
            self._check_address(request.email)

    def _check_url(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host = parts.hostname
            port = parts.port
        except ValueError:
            host, port = None, None
        if not host or port == 0:
            raise InvalidRequest("callback_url: this is no URL of a host, such as https://example.com/done")
        try:
            parse_address(host)
        except ValueError:
            return  # a name: where it leads is seen when the callback is sent
        if not is_allowed(host, self._networks):
            unless = ", unless the setting BUCKETZIP_CALLBACK_NETWORKS allows it" if is_allowed(host, ANYWHERE) else ""
            raise InvalidRequest(f"callback_url: no callback is sent to {host}{unless}")

    def _check_address(self, email: str) -> None:
        if self._missing:
            raise InvalidRequest(f"email: this server sends no mail; its settings {', '.join(self._missing)} are unset")
        if not _ADDRESS.fullmatch(email):
            raise InvalidRequest(
                "email: this is no address in ASCII, such as somebody@example.com (a domain as xn--...)"
            )
