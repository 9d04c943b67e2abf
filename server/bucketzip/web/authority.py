"""Who is let in: by a secret, by a token that was given for it, or by the network; and how often a secret is tried."""

import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bucketzip.errors import TooManyAttempts, Unauthenticated
from bucketzip.networks import Address, Network, is_within
from bucketzip.state.tokens import BadToken, Claims, ExpiredToken, Tokens
from bucketzip.state.users import KEY_CHARACTERS, User, Users
from bucketzip.transfer.ports import LabelledCounter
from bucketzip.web.peers import subscriber
from bucketzip.web.throttle import Throttle

HOW = (
    "Ask for a token with POST /gentoken (userKey and userSecret), or on the server's machine with `bucketzip user"
    " token`, and send it as `Authorization: Bearer TOKEN`."
)


def _by_peer() -> Throttle:
    return Throttle(burst=30, every_seconds=2)


def _by_key() -> Throttle:
    return Throttle(burst=10, every_seconds=10)


@dataclass(frozen=True, kw_only=True)
class Authority:
    """Decides by what a request shows. Each refusal is counted by its reason."""

    users: Users
    tokens: Tokens
    trusted_networks: Sequence[Network]
    metrics_token: str
    failures: LabelledCounter
    by_peer: Throttle = field(default_factory=_by_peer)
    by_key: Throttle = field(default_factory=_by_key)

    def trusts(self, peer: Address | None) -> bool:
        """Whether this peer needs no token."""
        return is_within(peer, self.trusted_networks)

    def is_metrics_token(self, token: str | None) -> bool:
        """Whether it is the one for who collects metrics."""
        if not self.metrics_token or token is None:
            return False
        return hmac.compare_digest(token.encode(errors="surrogateescape"), self.metrics_token.encode())

    async def user_of(self, token: str) -> tuple[User, Claims]:
        """Whose token it is; raises Unauthenticated."""
        try:
            claims = self.tokens.read(token)
        except ExpiredToken:
            raise self._refused("expired_token", f"This token has expired: it was good for a day. {HOW}") from None
        except BadToken:
            raise self._refused("bad_token", f"This is no token of this server. {HOW}") from None
        user = await self.users.get(claims.user_key)
        if user is None or not claims.holds_for(user):
            raise self._refused("revoked_token", f"This token was revoked. {HOW}")
        return user, claims

    async def log_in(self, user_key: str, user_secret: str, peer: Address | None) -> User:
        """Whose secret it is; raises Unauthenticated and TooManyAttempts.

        An attempt counts from its start, so that many at once are as many, and no longer once it turns out right.
        """
        throttles = ((self.by_peer, subscriber(peer)), (self.by_key, user_key[: KEY_CHARACTERS + 1]))
        wait = max(throttle.wait_seconds(who) for throttle, who in throttles)
        if wait:
            self.failures.labels("too_many_attempts").inc()
            raise TooManyAttempts(math.ceil(wait))
        for throttle, who in throttles:
            throttle.charge(who)
        user = await self.users.authenticate(user_key, user_secret)
        if user is None:
            raise self._refused(
                "wrong_secret",
                "No user has this key and this secret. On the server's machine `bucketzip user show-initial` tells"
                " those of the first user, and `bucketzip user rotate` makes a new secret.",
            )
        for throttle, who in throttles:
            throttle.refund(who)
        return user

    def no_token(self) -> Unauthenticated:
        """The error for who shows nothing."""
        return self._refused("no_token", f"This needs a token. {HOW}")

    def _refused(self, reason: str, text: str) -> Unauthenticated:
        self.failures.labels(reason).inc()
        return Unauthenticated(text)
