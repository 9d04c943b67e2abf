"""Capabilities: made again by the same instance alone."""

from bucketzip.state.capabilities import Capabilities
from bucketzip.state.instance_key import InstanceKey

OURS, THEIRS = InstanceKey(b"1" * 32), InstanceKey(b"2" * 32)


def test_a_capability_is_128_bits_that_fit_a_url_and_differs_for_all_that_it_is_for() -> None:
    many = {Capabilities(key).of_download(f"{number}") for key in (OURS, THEIRS) for number in range(500)}
    many |= {Capabilities(OURS).of_result(f"{number}") for number in range(500)}
    assert len(many) == 1500
    assert {len(capability) for capability in many} == {22}
    assert all(capability.replace("-", "").replace("_", "").isalnum() for capability in many)


def test_it_can_be_made_again() -> None:
    assert Capabilities(OURS).of_result("job") == Capabilities(InstanceKey(b"1" * 32)).of_result("job")
