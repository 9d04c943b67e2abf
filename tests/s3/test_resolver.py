"""Addresses are asked for now and then, once for all, and all of them are used."""

import asyncio
from collections.abc import Callable

import pytest

from bucketzip.errors import S3Unreachable
from bucketzip.s3 import resolver
from bucketzip.s3.resolver import Resolver
from tests.clock import standing_still

Names = dict[str, list[str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Names], list[str]]:
    """Have these names in the DNS, and return the list of what is asked of it."""

    def prepare(names: Names) -> list[str]:
        questions: list[str] = []

        async def look_up(host: str, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
            questions.append(host)
            await asyncio.sleep(0.01)
            if host not in names:
                raise OSError("Name or service not known")
            return [(0, 0, 0, "", (address, 0)) for address in names[host]]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        return questions

    return prepare


async def test_in_turn_and_asked_once(asked: Callable[[Names], list[str]]) -> None:
    questions = asked({"s3": ["a", "b", "a", "c"]})
    found = Resolver()
    answers = await asyncio.gather(*(found.addresses("s3") for _ in range(6)))
    assert [answer[0] for answer in answers] == ["a", "b", "c", "a", "b", "c"]
    assert all(sorted(answer) == ["a", "b", "c"] for answer in answers)
    assert questions == ["s3"]


async def test_asked_again_after_a_while(asked: Callable[[Names], list[str]]) -> None:
    names = {"s3": ["a"]}
    questions = asked(names)
    found = Resolver()
    assert await found.addresses("s3") == ["a"]
    names["s3"] = ["b"]
    with standing_still() as clock:
        assert await found.addresses("s3") == ["a"]
        await clock.jump(resolver.KEEP_SECONDS + 1)
        second = asyncio.create_task(found.addresses("s3"))
        await clock.run(second.done, idle=lambda: True)
        assert await second == ["b"]
    assert questions == ["s3", "s3"]


async def test_a_failure_is_not_kept(asked: Callable[[Names], list[str]]) -> None:
    names: Names = {}
    asked(names)
    found = Resolver()
    with pytest.raises(S3Unreachable, match="s3: Name or service not known"):
        await found.addresses("s3")
    names["s3"] = ["a"]
    assert await found.addresses("s3") == ["a"]


async def test_who_leaves_takes_the_answer_from_nobody(asked: Callable[[Names], list[str]]) -> None:
    asked({"s3": ["a"]})
    found = Resolver()
    first, second = (asyncio.create_task(found.addresses("s3")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ["a"]
