"""Accounts are opened once for all who use them at the same time, kept a while, and closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest

from bucketzip import accounts as module
from bucketzip.accounts import OpenAccounts
from bucketzip.errors import BucketzipError
from bucketzip.plan.accounts import Account
from bucketzip.plan.request import KeyCredentials
from bucketzip.plan.sealing import Given
from tests.plan.planning import SEALING

OWN = cast("Account", "the server's")


def sealed(name: str) -> str:
    text = SEALING.seal(KeyCredentials.model_validate({"access_key_id": name, "secret_access_key": "s"}))
    assert text is not None
    return text


class Opening:
    """Opens accounts that are names, and notes which are open."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.open: list[str] = []
        self.may = asyncio.Event()
        self.may.set()
        self.error: Exception | None = None

    @asynccontextmanager
    async def __call__(self, given: Given) -> AsyncIterator[Account]:
        assert isinstance(given, KeyCredentials)
        name = given.access_key_id
        self.opened.append(name)
        await self.may.wait()
        if self.error is not None:
            raise self.error
        self.open.append(name)
        try:
            yield cast("Account", name)
        finally:
            self.open.remove(name)


@pytest.fixture
def opening() -> Opening:
    return Opening()


@pytest.fixture
async def accounts(opening: Opening) -> AsyncIterator[OpenAccounts[Account]]:
    async with OpenAccounts(OWN, SEALING, opening).running() as running:
        yield running
    assert opening.open == []


async def test_without_credentials_it_is_the_servers(accounts: OpenAccounts[Account], opening: Opening) -> None:
    async with accounts.using(None) as account:
        assert account is OWN
    assert opening.opened == []


async def test_the_same_credentials_share_one_however_they_were_sealed(
    accounts: OpenAccounts[Account], opening: Opening
) -> None:
    async with accounts.using(sealed("A")) as one, accounts.using(sealed("A")) as two, accounts.using(sealed("B")) as b:
        assert (str(one), str(two), str(b)) == ("A", "A", "B")
    async with accounts.using(sealed("A")):
        assert opening.opened == ["A", "B"]


async def test_who_opens_it_may_leave_before_it_is_open(accounts: OpenAccounts[Account], opening: Opening) -> None:
    opening.may.clear()

    async def use() -> Account:
        async with accounts.using(sealed("A")) as account:
            return account

    first, second = asyncio.create_task(use()), asyncio.create_task(use())
    while not opening.opened:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    opening.may.set()
    assert str(await second) == "A"
    assert opening.opened == ["A"]


async def test_one_that_could_not_be_opened_is_tried_again(accounts: OpenAccounts[Account], opening: Opening) -> None:
    opening.error = BucketzipError("not now")
    for _ in range(2):
        with pytest.raises(BucketzipError, match="not now"):
            async with accounts.using(sealed("A")):
                raise AssertionError("it is not open")
    opening.error = None
    async with accounts.using(sealed("A")) as account:
        assert str(account) == "A"
    assert opening.opened == ["A", "A", "A"]


async def test_one_that_nobody_uses_is_closed_after_a_while(
    accounts: OpenAccounts[Account], opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    async with accounts.using(sealed("A")):
        async with accounts.using(sealed("A")):
            pass
        await asyncio.sleep(0.01)
        assert opening.open == ["A"], "somebody still uses it"
    async with asyncio.timeout(120):
        while opening.open:
            await asyncio.sleep(0)


async def test_beyond_a_number_those_that_were_not_used_for_longest_are_closed(
    accounts: OpenAccounts[Account], opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(accounts.using(sealed("A")))
        for name in "BCBD":
            async with accounts.using(sealed(name)):
                pass
        async with asyncio.timeout(120):
            while len(opening.open) > 2:
                await asyncio.sleep(0)
        assert opening.open == ["A", "D"]
