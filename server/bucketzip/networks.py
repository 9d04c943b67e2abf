"""Addresses and networks of the internet protocols, as settings write them and sockets have them. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: how hosts without IPv4 reach it; the last 32 bits are the address that is really meant."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """`10.1.0.0/16, fd12::/16` as networks; raises ValueError."""
    return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())


def is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    """Whether one of the networks has it."""
    return address is not None and any(address in network for network in networks)


def unmapped(address: Address) -> Address:
    """`::ffff:10.0.0.1` is 10.0.0.1."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def translated(address: Address) -> Address:
    """The one that is reached by it: mapped as above, or by NAT64."""
    if isinstance(address, IPv6Address) and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return unmapped(address)
