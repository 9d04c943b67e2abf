"""What a request allows at most, and that no more than that is listed."""

import pytest

from bucketzip.errors import OverLimit
from bucketzip.plan.catalog import Pages
from tests.plan.planning import Shelf, listed, plan

THREE = [listed("a", size=10), listed("b", size=20), listed("c", size=30)]


async def test_as_much_as_is_allowed_goes_in() -> None:
    shelf = Shelf(*THREE, listed("folder/", size=0))
    planned = await plan(shelf, "s3://bucket", max_entries=3, max_bytes=60)
    assert planned.names == ["a", "b", "c", "folder/"]


async def test_one_object_too_many() -> None:
    with pytest.raises(OverLimit, match="max_entries is 2, and there are 3 objects at least"):
        await plan(Shelf(*THREE), "s3://bucket", max_entries=2)


async def test_one_byte_too_much() -> None:
    with pytest.raises(OverLimit, match="max_bytes is 59, and the first 3 objects have 60"):
        await plan(Shelf(*THREE), "s3://bucket", max_bytes=59)


async def test_what_is_over_the_limit_is_not_listed_to_its_end() -> None:
    class Endless(Shelf):
        pages_given = 0

        async def pages(self, bucket: str, prefix: str) -> Pages:
            while True:
                self.pages_given += 1
                yield [listed(f"{self.pages_given:09}")]

    shelf = Endless()
    with pytest.raises(OverLimit):
        await plan(shelf, "s3://bucket", max_entries=100)
    assert shelf.pages_given < 200
