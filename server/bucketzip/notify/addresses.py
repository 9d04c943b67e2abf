"""Where callbacks may go. Pure: it judges the address that a socket is about to be connected to.

Whoever asks for an archive chooses the URL, and this machine reaches more than they do: its own services, the
credentials of its instance, the private network around it. So only addresses that anybody on the internet could reach
are allowed, by the registries of special-purpose addresses (RFC 6890), and those that a setting names.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

from bucketzip.networks import Address, Network, is_within, translated

ANYWHERE = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))

_NEVER: tuple[Network, ...] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/32",
            "169.254.0.0/16",  # link-local: the metadata of instances and of containers
            "224.0.0.0/4",
            "255.255.255.255/32",
            "::/128",
            "fd00:ec2::/32",  # the same metadata, by IPv6
            "fe80::/10",
            "ff00::/8",
        ),
    )
)
"""No setting allows these."""

_SPECIAL_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
        ),
    )
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_SPECIAL_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo, which holds IPv4 addresses, and other protocols
            "2001:db8::/32",
            "2002::/16",  # 6to4, which holds IPv4 addresses
            "3fff::/20",
        ),
    )
)


def parse_address(text: str) -> Address:
    """An address as a socket has it; raises ValueError. One that stands for an IPv4 address becomes that one."""
    return translated(ip_address(text.partition("%")[0]))  # the zone of a link-local address decides nothing


def is_allowed(text: str, networks: tuple[Network, ...]) -> bool:
    """Whether a callback may be sent to this address, where the networks are allowed beside the public ones."""
    address = parse_address(text)
    return not is_within(address, _NEVER) and (_is_public(address) or is_within(address, networks))


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not is_within(address, _SPECIAL_IPV4)
    return address in _GLOBAL_IPV6 and not is_within(address, _SPECIAL_IPV6)
