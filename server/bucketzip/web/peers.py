"""Where a request comes from: the other end of its connection, and never what a header says."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import web

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SUBSCRIBER_BITS_V6 = 64
"""One subscriber has at least so many IPv6 addresses."""


def peer(request: web.BaseRequest) -> Address | None:
    """The address of the other end; an IPv4 one also where an IPv6 socket took it. None on a Unix socket."""
    name = None if request.transport is None else request.transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return None
    return unmapped(ip_address(name[0]))


def unmapped(address: Address) -> Address:
    """`::ffff:10.0.0.1` is 10.0.0.1."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    """Whether one of the networks has it."""
    return address is not None and any(address in network for network in networks)


def subscriber(address: Address | None) -> Network | None:
    """Who is behind an address, as far as it tells: all that one who wants many of them has."""
    if address is None:
        return None
    bits = _SUBSCRIBER_BITS_V6 if isinstance(address, IPv6Address) else address.max_prefixlen
    return ip_network(f"{str(address).partition('%')[0]}/{bits}", strict=False)
