"""Credentials while they are kept."""

import pytest
from pydantic import TypeAdapter

from bucketzip.errors import InvalidRequest, KeysExpired
from bucketzip.plan.endpoints import AllowedEndpoints
from bucketzip.plan.sealing import Given, Sealing
from bucketzip.state.instance_key import InstanceKey, NotSealedHere
from tests.plan.planning import KEY, SEALING

READ: TypeAdapter[Given] = TypeAdapter(Given)
ROLE = READ.validate_python({"role_arn": "arn:aws:iam::111122223333:role/r", "external_id": "customer"})
KEYS = READ.validate_python({"access_key_id": "AKIA", "secret_access_key": "secret", "session_token": "token"})


@pytest.mark.parametrize("given", [ROLE, KEYS], ids=["role", "keys"])
def test_what_is_sealed_comes_out_as_it_went_in(given: Given) -> None:
    sealed = SEALING.seal(given)
    assert sealed is not None
    assert SEALING.unseal(sealed) == given
    assert SEALING.seal(given) != sealed
    for secret in ("secret", "token", "AKIA", "customer"):
        assert secret not in sealed


def test_none_are_none() -> None:
    assert SEALING.seal(None) is None


def test_forgotten_ones_are_not_taken_for_those_of_the_server() -> None:
    with pytest.raises(KeysExpired, match="not kept any more"):
        SEALING.unseal("")


def test_another_instance_cannot_read_them() -> None:
    sealed = SEALING.seal(KEYS)
    assert sealed is not None
    with pytest.raises(NotSealedHere):
        Sealing(InstanceKey(b"x" * 32), AllowedEndpoints()).unseal(sealed)


def test_an_endpoint_that_is_not_allowed_any_more_is_not_used() -> None:
    given = READ.validate_python({"access_key_id": "A", "secret_access_key": "s", "endpoint": "https://s3.example.com"})
    with pytest.raises(InvalidRequest):
        SEALING.seal(given)
    sealed = Sealing(KEY, AllowedEndpoints(["s3.example.com"])).seal(given)
    assert sealed is not None
    with pytest.raises(InvalidRequest):
        SEALING.unseal(sealed)


def test_a_name_is_the_same_for_the_same_alone_and_tells_nothing() -> None:
    other = READ.validate_python({"access_key_id": "AKIA", "secret_access_key": "secret2", "session_token": "token"})
    assert SEALING.name(KEYS) == SEALING.name(READ.validate_python(KEYS)) != SEALING.name(other)
    assert "AKIA" not in SEALING.name(KEYS)
    assert "'secret'" not in repr(KEYS)
