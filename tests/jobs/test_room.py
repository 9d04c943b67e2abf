"""Parts that are made in memory are as many as there is room for, and a long one is not kept out by short ones."""

import asyncio

from bucketzip.jobs.room import Room


class Makers:
    """Those who make parts, and what is being made at once."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.making: list[int] = []
        self.most_parts = self.most_bytes = 0
        self.made: list[int] = []

    async def make(self, length: int, turns: int = 3) -> None:
        async with self._room.of(length):
            self.making.append(length)
            self.most_parts = max(self.most_parts, len(self.making))
            self.most_bytes = max(self.most_bytes, sum(self.making))
            for _ in range(turns):
                await asyncio.sleep(0)
            self.making.remove(length)
            self.made.append(length)


async def test_no_more_than_so_many_parts() -> None:
    makers = Makers(Room(4, 1000))
    await asyncio.gather(*(makers.make(1) for _ in range(50)))
    assert (makers.most_parts, len(makers.made)) == (4, 50)


async def test_no_more_than_so_many_bytes() -> None:
    makers = Makers(Room(4, 1000))
    await asyncio.gather(*(makers.make(300 + number) for number in range(50)))
    assert makers.most_parts == 3
    assert makers.most_bytes <= 1000
    assert len(makers.made) == 50


async def test_a_long_one_is_not_overtaken() -> None:
    makers = Makers(Room(4, 1000))
    await asyncio.gather(makers.make(10), *(makers.make(length) for length in (1000, 20, 30)))
    assert makers.made == [10, 1000, 20, 30]


async def test_one_that_is_longer_than_all_room_has_it_alone() -> None:
    makers = Makers(Room(4, 1000))
    await asyncio.gather(*(makers.make(length) for length in (10, 5000, 20)))
    assert makers.made == [10, 5000, 20]
    assert makers.most_parts == 1


async def test_who_gives_up_leaves_the_room_to_others() -> None:
    makers = Makers(Room(4, 1000))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(makers.make(900, turns=1000))
        await asyncio.sleep(0)
        waiting = group.create_task(makers.make(800))
        await asyncio.sleep(0)
        waiting.cancel()
        first.cancel()
    await makers.make(1000)
    assert makers.made == [1000]
