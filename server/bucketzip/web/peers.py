"""Where a request comes from: the other end of its connection, and never what a header says."""

from ipaddress import IPv6Address, ip_address, ip_network

from aiohttp import web

from bucketzip.networks import Address, Network, unmapped

_SUBSCRIBER_BITS_V6 = 64
"""One subscriber has at least so many IPv6 addresses."""


def peer(request: web.BaseRequest) -> Address | None:
    """The address of the other end; an IPv4 one also where an IPv6 socket took it. None on a Unix socket."""
    name = None if request.transport is None else request.transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return None
    return unmapped(ip_address(name[0]))


def subscriber(address: Address | None) -> Network | None:
    """Who is behind an address, as far as it tells: all that one who wants many of them has."""
    if address is None:
        return None
    bits = _SUBSCRIBER_BITS_V6 if isinstance(address, IPv6Address) else address.max_prefixlen
    return ip_network(f"{str(address).partition('%')[0]}/{bits}", strict=False)
