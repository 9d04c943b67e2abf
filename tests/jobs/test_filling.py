"""Parts that fill as an archive comes: cut where they are long enough, receipts in order, and turns given back."""

import asyncio
from collections.abc import Sequence

import pytest

from bucketzip.archive.walked import Walked
from bucketzip.errors import S3Error
from bucketzip.jobs.filling import Filling
from bucketzip.jobs.ports import Done
from bucketzip.state.receipts import Receipt

TURNS = 3


class Upload:
    """Takes parts as the test lets them through."""

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self.through: dict[int, asyncio.Event] = {}
        self.failing: set[int] = set()
        self.kept: list[Receipt] = []
        self.turns = asyncio.Semaphore(TURNS)

    async def put(self, number: int, body: memoryview, crc: int) -> Done:
        self.bodies[number] = bytes(body)
        if number in self.through:
            await self.through[number].wait()
        if number in self.failing:
            raise S3Error("not this one")
        return Done(f"etag {number}", len(body), crc)

    async def keep(self, receipt: Receipt) -> None:
        self.kept.append(receipt)

    async def take(self, steps: Sequence[bytes], number: int = 1) -> None:
        async with asyncio.TaskGroup() as group:
            with Filling(Walked(0), number, 10, turns=self.turns, group=group, put=self.put, keep=self.keep) as filling:
                for step in steps:
                    await filling.take([step])
                filling.finish()

    def all_turns_are_free(self) -> bool:
        return self.turns._value == TURNS


async def test_a_part_ends_with_the_step_that_makes_it_long_enough() -> None:
    upload = Upload()
    await upload.take([b"a" * 4, b"b" * 4, b"c" * 4, b"d" * 30, b"e" * 10, b"f"], number=7)
    assert upload.bodies == {7: b"aaaabbbbcccc", 8: b"d" * 30, 9: b"e" * 10, 10: b"f"}
    assert [receipt[:3] for receipt in upload.kept] == [
        (number, f"etag {number}", len(body)) for number, body in upload.bodies.items()
    ]
    assert upload.all_turns_are_free()


async def test_receipts_wait_for_those_before_and_parts_for_turns() -> None:
    upload = Upload()
    upload.through = {2: asyncio.Event()}
    taking = asyncio.create_task(upload.take([b"x" * 10] * 6))
    while len(upload.bodies) < 1 + TURNS:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert list(upload.bodies) == [1, 2, 3, 4], "as many as may be under way"
    assert [receipt.part for receipt in upload.kept] == [1]
    upload.through[2].set()
    await taking
    assert [receipt.part for receipt in upload.kept] == [1, 2, 3, 4, 5, 6]
    assert upload.all_turns_are_free()


async def test_what_fails_ends_it_without_a_receipt_of_what_comes_after() -> None:
    upload = Upload()
    upload.through, upload.failing = {2: asyncio.Event()}, {2}
    taking = asyncio.create_task(upload.take([b"x" * 10] * 6 + [b"rest"]))
    while len(upload.bodies) < 1 + TURNS:
        await asyncio.sleep(0)
    upload.through[2].set()
    with pytest.raises(ExceptionGroup, match="unhandled errors") as failed:
        await taking
    assert isinstance(failed.value.exceptions[0], S3Error)
    assert [receipt.part for receipt in upload.kept] == [1]
    assert upload.all_turns_are_free()


@pytest.mark.parametrize("after", range(8))
async def test_cancelled_at_any_moment_it_gives_all_turns_back(after: int) -> None:
    upload = Upload()
    upload.through = {number: asyncio.Event() for number in range(1, 9)}
    taking = asyncio.create_task(upload.take([b"x" * 6] * 16))
    for _ in range(after):
        await asyncio.sleep(0)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert taking.cancelled()
    assert upload.kept == []
    assert upload.all_turns_are_free()
