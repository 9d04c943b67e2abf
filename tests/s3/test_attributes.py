"""The CRC of an object that was uploaded in parts: that of all its bytes, or none."""

import pytest

from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import Lie, LyingS3, does, heads
from tests.s3.looking import catalog_of
from tests.s3.reading import of_stub

pytestmark = pytest.mark.usefixtures("no_back_off")


async def crc_of(stub: LyingS3, key: str = "key") -> tuple[int | None, bool]:
    async with catalog_of(of_stub(stub)) as catalog:
        looked = await catalog.look(stub.bucket, key)
        return looked.crc, looked.crc_rebuilt


@pytest.mark.parametrize(("parts", "requests"), [(1, 1), (3, 1), (1000, 1), (1001, 2), (2345, 3)])
async def test_a_composite_is_rebuilt_from_its_parts(parts: int, requests: int) -> None:
    async with LyingS3() as stub:
        stored = stub.objects.put("key", Synthetic(100 * parts - 1, 7), crc="composite", part_bytes=100)
        assert await crc_of(stub) == (stored.crc, True)
        assert stub.counts["GetObjectAttributes"] == requests


async def test_a_full_one_is_taken_as_it_is() -> None:
    async with LyingS3() as stub:
        stored = stub.objects.put("key", Synthetic(1000, 7), crc="full", part_bytes=100)
        assert await crc_of(stub) == (stored.crc, False)
        assert not stub.counts["GetObjectAttributes"]


@pytest.mark.parametrize(
    "lie",
    [
        lies.access_denied(),
        lies.not_implemented(),
        lies.internal_error(),
        lies.edited(("<ChecksumCRC32>[^<]*</ChecksumCRC32>", "")),
        lies.edited(("<ETag>[^<]*</ETag>", "<ETag>other</ETag>")),
        lies.edited(("<Part>.*?</Part>", "")),
        lies.edited(("<Size>[^<]*</Size>", "<Size>1</Size>")),
        lies.edited(("<ObjectParts>.*</ObjectParts>", "")),
    ],
)
async def test_what_is_not_told_whole_is_not_known(lie: Lie) -> None:
    async with LyingS3() as stub:
        stub.objects.put("key", Synthetic(1000, 7), crc="composite", part_bytes=100)
        stub.on(does("GetObjectAttributes"), lie)
        assert await crc_of(stub) == (None, False)


async def test_a_composite_without_its_number_is_one_by_its_type() -> None:
    async with LyingS3() as stub:
        stored = stub.objects.put("key", Synthetic(1000, 7), crc="composite", part_bytes=100)
        stub.on(heads(), lies.header("x-amz-checksum-crc32", stored.checksum))
        assert await crc_of(stub) == (stored.crc, True)
