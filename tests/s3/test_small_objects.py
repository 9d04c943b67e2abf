"""Objects that are read whole: what they hold, or what keeps them from being read."""

from collections.abc import AsyncIterator

import pytest

from bucketzip.errors import AccessDenied, NoSuchObject, OverLimit, S3Unreachable, Unsupported
from bucketzip.s3 import small_objects
from bucketzip.s3.client import open_s3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.small_objects import S3SmallObjects
from tests.faults import lies
from tests.faults.lying_s3 import LyingS3, gets
from tests.s3.reading import left_behind
from tests.web.serving import stub_environment

MOST = 100_000


@pytest.fixture
async def objects(stub: LyingS3, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3SmallObjects]:
    for name, value in stub_environment(stub.endpoint_url).items():
        monkeypatch.setenv(name, value)
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=4) as s3:
        yield S3SmallObjects(s3)
    assert not left_behind()


@pytest.mark.parametrize("size", [0, 1, MOST])
async def test_as_much_as_is_allowed(stub: LyingS3, objects: S3SmallObjects, size: int) -> None:
    stub.objects.put("a", content := b"x" * size)
    assert await objects.read("stub", "a", most_bytes=MOST) == content


async def test_one_byte_too_much(stub: LyingS3, objects: S3SmallObjects) -> None:
    stub.objects.put("a", b"x" * (MOST + 1))
    with pytest.raises(OverLimit, match="s3://stub/a has more than 100,000 bytes"):
        await objects.read("stub", "a", most_bytes=MOST)


async def test_one_that_is_not_there_or_may_not_be_read(stub: LyingS3, objects: S3SmallObjects) -> None:
    with pytest.raises(NoSuchObject, match="s3://stub/gone"):
        await objects.read("stub", "gone", most_bytes=MOST)
    stub.on(gets(), lies.access_denied())
    with pytest.raises(AccessDenied, match="s3://stub/gone"):
        await objects.read("stub", "gone", most_bytes=MOST)
    with pytest.raises(Unsupported):
        await objects.read("stub--x-s3", "a", most_bytes=MOST)


async def test_one_that_breaks_off_or_takes_for_ever(
    stub: LyingS3, objects: S3SmallObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.objects.put("a", b"x" * MOST)
    stub.on(gets(), lies.cut_short(1000), times=1)
    with pytest.raises(S3Unreachable, match="s3://stub/a"):
        await objects.read("stub", "a", most_bytes=MOST)
    monkeypatch.setattr(small_objects, "READ_TIMEOUT_SECONDS", 0.2)
    stub.on(gets(), lies.stalled(1000))
    with pytest.raises(S3Unreachable, match="it took longer"):
        await objects.read("stub", "a", most_bytes=MOST)
