"""What of an archive is done side by side: nothing waits for what it does not need."""

import asyncio

import pytest

from tests.faults.asked import Asked
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import LyingS3, Predicate, does
from tests.jobs.archiving import KEY, MIB, Client, assert_archived, fill, held, sends

pytestmark = pytest.mark.usefixtures("_no_back_off")


def part(number: int) -> Predicate:
    """Pick one part of the archive, copied or built."""
    return lambda asked: sends()(asked) and asked.query["partNumber"] == str(number)


class Seen:
    """When the store is asked for something; it is answered."""

    def __init__(self, stub: LyingS3, applies: Predicate) -> None:
        self._come = asyncio.Event()
        stub.on(applies, self._see)

    async def come(self) -> None:
        await asyncio.wait_for(self._come.wait(), 120)

    def _see(self, asked: Asked, honest: Reply) -> Reply:
        self._come.set()
        return honest


async def test_parts_are_read_while_others_are_sent(client: Client, stub: LyingS3) -> None:
    fill(stub, {f"{number}": 2 * MIB for number in range(30)})
    third = Seen(stub, part(3))
    for number in 1, 2:
        stub.on(part(number), held())
    await client.begin()
    await third.come()


async def test_a_header_waits_for_its_own_copy_alone(client: Client, stub: LyingS3) -> None:
    """Parts 1 and 3 are built of headers and first bytes, 2 and 4 are copied."""
    fill(stub, {"a": 12 * MIB, "b": 12 * MIB})
    first = Seen(stub, part(1))
    stub.on(part(4), held())
    await client.begin()
    await first.come()
    assert not any(part(3)(asked) for asked in stub.requests)


async def test_the_directory_has_a_part_of_its_own_behind_small_entries(client: Client, stub: LyingS3) -> None:
    contents = fill(stub, {f"{number}": 2 * MIB for number in range(30)})
    await client.archived()
    assert_archived(stub, contents)
    lengths = [int(asked.headers["Content-Length"]) for asked in stub.requests if does("UploadPart", KEY)(asked)]
    assert min(lengths) < 10_000
