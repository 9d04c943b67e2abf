"""Which endpoints may come with keys."""

import pytest

from bucketzip.errors import InvalidRequest
from bucketzip.plan.endpoints import SETTING, AllowedEndpoints


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("minio.internal", "http://minio.internal:9000"),
        ("minio.internal", "https://MINIO.internal./"),
        ("*.s3.example.com", "https://eu.s3.example.com"),
        ("10.1.2.3", "http://10.1.2.3:9000"),
        ("127.0.0.1", "http://127.0.0.1:9000"),
        ("::1", "http://[::1]:9000"),
    ],
)
def test_what_the_setting_names_is_allowed(allowed: str, url: str) -> None:
    AllowedEndpoints([allowed]).check(url)


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("", "https://s3.example.com"),
        ("minio.internal", "https://minio.internal.evil.com"),
        ("*.s3.example.com", "https://s3.example.com"),
        ("*", "http://169.254.169.254"),
        ("*", "http://127.0.0.1:8080"),
        ("127.*", "http://127.0.0.1:8080"),
        ("*", "http://[::ffff:127.0.0.1]"),
        ("*", "http://[fd00:ec2::254]"),
    ],
)
def test_everything_else_is_refused_by_the_name_of_the_setting(allowed: str, url: str) -> None:
    with pytest.raises(InvalidRequest, match=SETTING):
        AllowedEndpoints([allowed] if allowed else []).check(url)


OUT_OF_BOUNDS = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104  -- connects to this machine, and is not listened on
    "169.254.169.254",
    "169.254.170.2",
    "224.0.0.1",
    "::1",
    "::",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "::ffff:169.254.169.254",
    "::ffff:7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("address", OUT_OF_BOUNDS)
def test_this_machine_and_its_metadata_are_out_of_bounds(address: str) -> None:
    assert not AllowedEndpoints(["*", "localhost"]).permits(address)


@pytest.mark.parametrize("address", [each for each in OUT_OF_BOUNDS if "%" not in each])
def test_an_address_that_stands_in_the_setting_is_meant(address: str) -> None:
    assert AllowedEndpoints([address]).permits(address)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "52.95.1.1", "fd12::1", "2600:1f18::1", "64:ff9b::a00:1"]
)
def test_others_are_not(address: str) -> None:
    assert AllowedEndpoints(["s3.example.com"]).permits(address)


@pytest.mark.parametrize("address", ["", "localhost", "nonsense"])
def test_what_is_no_address_is_none(address: str) -> None:
    assert not AllowedEndpoints(["*"]).permits(address)
