"""Where callbacks may go, by the address alone."""

import pytest

from bucketzip.networks import parse_networks
from bucketzip.notify.addresses import ANYWHERE, is_allowed

NONE = parse_networks("")

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "52.95.110.1",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "223.255.255.255",
    "2600:1f18::1",
    "2a05:d018::1",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",
)
PRIVATE = (
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "240.0.0.1",
    "::1",
    "::1%lo",
    "::127.0.0.1",  # IPv4-compatible
    "::1.1.1.1",
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "64:ff9b::127.0.0.1",  # NAT64
    "64:ff9b::10.1.2.3",
    "64:ff9b:1::1.1.1.1",  # NAT64 of a private network
    "100::1",
    "2001::1",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4 of 127.0.0.1
    "2002:a9fe:a9fe::1",  # 6to4 of 169.254.169.254
    "2002:101:101::1",
    "3fff::1",
    "4000::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
)
NEVER = (
    "0.0.0.0",  # noqa: S104  -- nothing binds to it
    "169.254.169.254",
    "169.254.170.2",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:0.0.0.0",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::a9fe:a9fe%2",
    "ff02::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_anybody_can_reach_is_allowed(address: str) -> None:
    assert is_allowed(address, NONE)


@pytest.mark.parametrize("address", PRIVATE)
def test_what_only_this_machine_reaches_is_not_unless_it_is_named(address: str) -> None:
    assert not is_allowed(address, NONE)
    assert is_allowed(address, ANYWHERE)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_what_is_no_host_are_never(address: str) -> None:
    assert not is_allowed(address, NONE)
    assert not is_allowed(address, ANYWHERE)


def test_a_network_allows_what_lies_in_it_and_nothing_else() -> None:
    networks = parse_networks("10.1.0.0/16 ,fd12::/48,")
    allowed = ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1")
    refused = ("10.2.0.1", "127.0.0.1", "fd12:0:1::1", "::1", "64:ff9b::10.2.0.1")
    assert [each for each in allowed + refused if is_allowed(each, networks)] == list(allowed)


@pytest.mark.parametrize("text", ["10.1.0.1/16", "10.1/16", "nonsense", "10.0.0.0/8;fd00::/8"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_networks(text)
