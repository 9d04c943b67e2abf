"""Tokens: only ours, only for a day, whatever is done to them."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from bucketzip.state.instance_key import InstanceKey, load_instance_key
from bucketzip.state.tokens import LIFETIME_SECONDS, BadToken, ExpiredToken, Tokens
from bucketzip.state.users import Role, User

NOW = int(time.time())
USER = User("u" * 22, Role.USER, ("*",), created_at=NOW - 10, tokens_from=NOW - 10)


@pytest.fixture
def key(tmp_path: Path) -> InstanceKey:
    return load_instance_key(tmp_path)


@pytest.fixture
def tokens(key: InstanceKey) -> Tokens:
    return Tokens(key, lambda: NOW)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return read


def test_a_token_is_a_jwt_for_a_day(tokens: Tokens) -> None:
    token = tokens.issue(USER)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = tokens.read(token)
    assert (claims.user_key, claims.issued_at, claims.expires_at) == (USER.user_key, NOW, NOW + LIFETIME_SECONDS)
    assert LIFETIME_SECONDS == 86_400
    assert claims.holds_for(USER)


def test_a_token_of_before_a_rotation_does_not_hold_and_one_of_after_does(tokens: Tokens) -> None:
    rotated = User("u" * 22, Role.USER, ("*",), created_at=NOW - 10, tokens_from=NOW + 1)
    assert not tokens.read(tokens.issue(USER)).holds_for(rotated)
    assert tokens.read(tokens.issue(rotated)).holds_for(rotated)


def test_an_expired_token(key: InstanceKey, tokens: Tokens) -> None:
    token = Tokens(key, lambda: NOW - LIFETIME_SECONDS - 11).issue(
        User("u" * 22, Role.USER, ("*",), created_at=0, tokens_from=0)
    )
    with pytest.raises(ExpiredToken):
        tokens.read(token)


def test_a_token_of_another_instance(tokens: Tokens, tmp_path: Path) -> None:
    with pytest.raises(BadToken):
        tokens.read(Tokens(load_instance_key(tmp_path / "other")).issue(USER))


def test_a_token_without_a_signature(tokens: Tokens) -> None:
    header, payload, _ = tokens.issue(USER).split(".")
    for alg in ("none", "None", "NONE", "nOnE", "", "HS384", "RS256", None):
        forged = encoded({"alg": alg, "typ": "JWT"})
        for signature in ("", "AA"):
            with pytest.raises(BadToken):
                tokens.read(f"{forged}.{payload}.{signature}")
    with pytest.raises(BadToken):
        tokens.read(f"{header}.{payload}.")


def test_another_algorithm_with_the_right_key(key: InstanceKey, tokens: Tokens) -> None:
    claims = claims_of(tokens.issue(USER))
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        forged = jwt.encode(claims, key.derive("tokens"), "HS512")
    with pytest.raises(BadToken):
        tokens.read(forged)


@pytest.mark.parametrize("claim", ["sub", "iat", "exp", "iss", "aud"])
def test_a_claim_that_is_missing_or_another(claim: str, key: InstanceKey, tokens: Tokens) -> None:
    """With the right key, so that it is this check that refuses."""
    claims = claims_of(tokens.issue(USER))
    signing = key.derive("tokens")
    assert tokens.read(signed(claims, signing)).user_key == USER.user_key
    without = {name: value for name, value in claims.items() if name != claim}
    for forged in (without, claims | {claim: "another" if claim != "sub" else ["a", "list"]}):
        with pytest.raises(BadToken):
            tokens.read(signed(forged, signing))


def signed(claims: dict[str, Any], key: bytes) -> str:
    """Also what PyJWT would not sign."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, "HS256")


def test_every_character_counts(tokens: Tokens) -> None:
    token = tokens.issue(USER)
    for place in range(0, len(token) - 1, 3):  # the last one has bits that say nothing
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(BadToken):
            tokens.read(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b",
        "a.b.c.d",
        " a.b.c",
        "\ud800.b.c",
        "\u00fc.b.c",
        "a" * 5000 + ".b.c",
        f"{base64.urlsafe_b64encode(b'[' * 1500).decode().rstrip('=')}.e30.AA",
        f"{encoded({'alg': 'HS256', 'crit': ['x']})}.e30.AA",
        f"{encoded([])}.e30.AA",
        f"{encoded({'alg': ['HS256']})}.e30.AA",
    ],
)
def test_what_is_no_token_at_all(token: str, tokens: Tokens) -> None:
    with pytest.raises(BadToken):
        tokens.read(token)
