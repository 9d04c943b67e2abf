"""Which endpoints may come with a request's keys: those that the settings name, and at no address of this machine.

Whoever names an endpoint has this server send requests there. So a name is not enough: what it resolves to is looked
at whenever a connection is opened, since the answer may be another one then.
"""

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from wcmatch import fnmatch

from bucketzip.errors import InvalidRequest
from bucketzip.networks import Address, translated

SETTING = "BUCKETZIP_ALLOW_ENDPOINTS"
_METADATA = IPv6Network("fd00:ec2::/32")
"""Services of an EC2 instance for itself; those over IPv4 are link-local."""


class AllowedEndpoints:
    """Hosts, or globs of hosts. An address that is out of bounds may be connected to where it is written as it is."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = tuple(each.lower() for each in allowed)
        self._addresses = {_address(each) for each in allowed}

    def check(self, url: str) -> None:
        """Raises InvalidRequest where keys may not come with this endpoint."""
        host = (urlsplit(url).hostname or "").rstrip(".")
        if not host or not fnmatch.fnmatch(host, self._allowed, flags=fnmatch.IGNORECASE):
            raise InvalidRequest(
                f"credentials.endpoint: this server does not send requests to {host}; "
                f"its operator may allow that with {SETTING}"
            )
        if _address(host) is not None and not self.permits(host):
            raise InvalidRequest(f"credentials.endpoint: {host} must stand in {SETTING} itself, not match a glob there")

    def permits(self, address: str) -> bool:
        """Whether a connection may go to an address."""
        found = _address(address.partition("%")[0])
        return found is not None and (found in self._addresses or not _is_out_of_bounds(found))


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_out_of_bounds(address: Address) -> bool:
    """This machine, its link, and what the cloud tells it alone; also in IPv6's clothes."""
    address = translated(address)
    if isinstance(address, IPv6Address):
        if address in _METADATA:
            return True
        inner = address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return _is_out_of_bounds(inner)
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
