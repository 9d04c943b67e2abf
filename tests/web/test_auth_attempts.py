"""Secrets cannot be tried at will: few at once, then one every so often, and it is said when."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from bucketzip.errors import TooManyAttempts, Unauthenticated
from bucketzip.metrics import Metrics
from bucketzip.networks import Address, unmapped
from bucketzip.state.database import open_database
from bucketzip.state.instance_key import load_instance_key
from bucketzip.state.tokens import Tokens
from bucketzip.state.users import Role, User, Users
from bucketzip.web.authority import Authority
from bucketzip.web.peers import subscriber
from bucketzip.web.throttle import Throttle
from tests.web.asking import Asker, user_of
from tests.web.serving import Server

MARK = {"X-Requested-With": "bucketzip"}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_some_attempts_at_once_and_then_one_every_so_often(clock: Clock) -> None:
    throttle = Throttle(burst=3, every_seconds=10, clock=clock)
    for _ in range(3):
        assert throttle.wait_seconds("a") == 0
        throttle.charge("a")
    assert throttle.wait_seconds("a") == 10
    assert throttle.wait_seconds("b") == 0
    clock.now += 4
    assert throttle.wait_seconds("a") == 6
    clock.now += 6
    assert throttle.wait_seconds("a") == 0, "exactly when it was said"
    throttle.charge("a")
    assert throttle.wait_seconds("a") == 10
    clock.now += 1000
    for _ in range(3):
        assert throttle.wait_seconds("a") == 0, "and never more than those at once"
        throttle.charge("a")
    assert throttle.wait_seconds("a") == 10


def test_what_is_given_back_was_none(clock: Clock) -> None:
    throttle = Throttle(burst=1, every_seconds=10, clock=clock)
    for _ in range(5):
        assert throttle.wait_seconds("a") == 0
        throttle.charge("a")
        assert throttle.wait_seconds("a") == 10
        throttle.refund("a")
    throttle.refund("nobody")
    assert len(throttle) == 1


def test_its_memory_is_bounded_and_the_worst_are_remembered(clock: Clock) -> None:
    throttle = Throttle(burst=2, every_seconds=10, most=100, clock=clock)
    for _ in range(5):
        throttle.charge("worst")
    for number in range(1000):
        throttle.charge(number)
        assert len(throttle) <= 101
    assert throttle.wait_seconds("worst") == 40
    clock.now += 50
    throttle.charge("new")
    for number in range(100):
        throttle.charge(number)
    assert throttle.wait_seconds("worst") == 0


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_many_addresses_of_one_subscriber_are_one(address: str, counts_as: str) -> None:
    assert str(subscriber(unmapped(ip_address(address)))) == counts_as


PEER, OTHER = ip_address("192.0.2.1"), ip_address("192.0.2.2")


async def attempts(log_in: Callable[[], Awaitable[object]], at_most: int = 100) -> tuple[int, int]:
    """How many are refused for the secret until one is refused for their number, and the seconds it then tells."""
    for made in range(at_most):
        try:
            await log_in()
        except Unauthenticated:
            continue
        except TooManyAttempts as error:
            return made, int(error.headers["Retry-After"])
    raise AssertionError("nobody was slowed down")


async def test_wrong_secrets_are_slowed_by_peer_and_by_key(tmp_path: Path, clock: Clock) -> None:
    async with open_database(tmp_path) as database:
        users, tokens = Users(database), Tokens(load_instance_key(tmp_path))
        user, secret = await users.add(Role.USER)
        authority = Authority(
            users=users,
            tokens=tokens,
            trusted_networks=(),
            metrics_token="",
            failures=Metrics().auth_failures,
            by_peer=Throttle(burst=4, every_seconds=2, clock=clock),
            by_key=Throttle(burst=2, every_seconds=10, clock=clock),
        )

        async def log_in(key: str, secret: str, peer: Address) -> User:
            return await authority.log_in(key, secret, peer)

        assert await attempts(lambda: log_in(user.user_key, "wrong", PEER)) == (2, 10)
        with pytest.raises(TooManyAttempts):
            await log_in(user.user_key, secret, OTHER)  # the right one too: else it could be tried on
        assert await attempts(lambda: log_in("another", "wrong", PEER)) == (2, 10)
        assert await attempts(lambda: log_in("a third", "wrong", PEER)) == (0, 2), "the peer"
        clock.now += 10
        for _ in range(20):
            await log_in(user.user_key, secret, PEER)  # right ones do not count


async def test_attempts_at_once_are_as_many(stub_server: Server) -> None:
    """They count before the secret is looked at, so a burst of them gains nothing."""
    user, secret, ask = await user_of(stub_server)
    body = {"user_key": user.user_key, "user_secret": "wrong"}
    login = Asker(stub_server, **MARK)
    replies = await asyncio.gather(*(login("POST", "/session", body) for _ in range(25)))
    assert sorted(reply.status for reply in replies) == [401] * 10 + [429] * 15
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.error == (429, "too_many_attempts")
    assert 0 < int(refused.headers["Retry-After"]) <= 10
    right = await login("POST", "/session", body | {"user_secret": secret})
    assert right.status == 429
    assert (await ask("GET", "/archives")).status == 200, "who has a token is not concerned"
    assert await stub_server.metric("bucketzip_auth_failures_total") == 26


async def test_refusals_are_logged_without_the_secret(stub_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    user, secret, _ = await user_of(stub_server)
    login = Asker(stub_server, **MARK)
    assert (await login("POST", "/session", {"user_key": user.user_key, "user_secret": "guess-1"})).status == 401
    assert (await login("POST", "/session", {"user_key": secret, "user_secret": "guess-2"})).status == 401
    refused = [vars(each) for each in caplog.records if each.getMessage().startswith("refused: ")]
    assert [each["who"] for each in refused] == [user.user_key, "unknown"], "it was a secret in the wrong field"
    assert {each["peer"] for each in refused} == {"127.0.0.1"}
    logged = json.dumps([vars(each) for each in caplog.records], default=str)
    assert all(text not in logged for text in (secret, "guess-1", "guess-2"))
