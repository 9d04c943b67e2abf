"""Tokens: what a user shows instead of the secret, for a day. JSON web tokens (RFC 7519), as S3Zipper's are.

They are signed with a key of this instance, so nothing is kept of them, every process of the machine knows them, and
no other machine does.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import jwt

from bucketzip.state.instance_key import InstanceKey
from bucketzip.state.users import User

LIFETIME_SECONDS = 24 * 3600
_ALGORITHM = "HS256"
_CLAIMS = ("sub", "iat", "exp", "iss", "aud")
_MOST_CHARACTERS = 2048
# Longer or other ones are none, and are spared a parser of JSON.
_SHAPE = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


class BadToken(Exception):
    """It was not issued here, or somebody changed it."""


class ExpiredToken(BadToken):
    """It was good for a day, and that is over."""


@dataclass(frozen=True)
class Claims:
    """What a token says. Times are seconds since 1970."""

    user_key: str
    issued_at: int
    expires_at: int

    def holds_for(self, user: User) -> bool:
        """Whether it was issued after the last rotation of the user's secret."""
        return self.issued_at >= user.tokens_from


class Tokens:
    """Issues and reads those of one instance. `clock` gives seconds since 1970."""

    def __init__(self, key: InstanceKey, clock: Callable[[], float] = time.time) -> None:
        self._key = key.derive("tokens")
        self._instance = f"bucketzip {key.derive('instance name', 8).hex()}"
        self._clock = clock

    def issue(self, user: User) -> str:
        """A token for a day."""
        issued_at = max(int(self._clock()), user.tokens_from)
        claims = {
            "sub": user.user_key,
            "iat": issued_at,
            "exp": issued_at + LIFETIME_SECONDS,
            "iss": self._instance,
            "aud": self._instance,
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def read(self, token: str) -> Claims:
        """What it says; raises BadToken and ExpiredToken. Whether there still is such a user is not asked here."""
        if len(token) > _MOST_CHARACTERS or not _SHAPE.fullmatch(token):
            raise BadToken
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],  # never what the token itself says
                audience=self._instance,
                issuer=self._instance,
                # `iat` is compared with the last rotation, which may have put it a second ahead of the clock.
                options={"require": list(_CLAIMS), "verify_iat": False},
            )
            return Claims(str(claims["sub"]), int(claims["iat"]), int(claims["exp"]))
        except jwt.ExpiredSignatureError as error:
            raise ExpiredToken from error
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:  # of its header, which is parsed first
            raise BadToken from error
