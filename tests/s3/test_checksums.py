"""Only a CRC-32 of all the bytes is taken for one."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketzip.s3.checksums import full_object_crc


def encoded(crc: int) -> str:
    return base64.b64encode(struct.pack(">I", crc)).decode()


@given(st.integers(0, 0xFFFFFFFF), st.sampled_from([None, "FULL_OBJECT"]))
def test_of_the_whole(crc: int, checksum_type: str | None) -> None:
    assert full_object_crc(encoded(crc), checksum_type) == crc


@given(st.integers(0, 0xFFFFFFFF), st.integers(1, 10_000))
def test_of_the_parts(crc: int, parts: int) -> None:
    """With its number of parts, its type, or both: servers leave out either."""
    assert full_object_crc(f"{encoded(crc)}-{parts}", "COMPOSITE") is None
    assert full_object_crc(f"{encoded(crc)}-{parts}", None) is None
    assert full_object_crc(encoded(crc), "COMPOSITE") is None


@pytest.mark.parametrize("checksum_type", ["", "composite", "SOMETHING_NEW"])
def test_of_a_type_that_nobody_knows(checksum_type: str) -> None:
    assert full_object_crc("AAAAAA==", checksum_type) is None


@pytest.mark.parametrize(
    "value",
    [None, "", "A", "AAAA", "AAAAAA", "AAAAAA=", "AAAAAAA=", "AAAAAAAA", "AAAA AA==", "AAAAAA==\n", "\u00fc", "!"],
)
def test_garbage(value: str | None) -> None:
    assert full_object_crc(value, "FULL_OBJECT") is None


@given(st.text())
def test_any_text(value: str) -> None:
    crc = full_object_crc(value, None)
    assert crc is None or encoded(crc) == value
