"""Ranges of every size read right from a real server, many at once, in memory that is reused all the time."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.errors import AccessDenied, NoSuchObject, SourceChanged
from bucketzip.s3 import stragglers
from tests.bucket import Bucket
from tests.clock import standing_still
from tests.faults import lies
from tests.faults.content import Given, Synthetic
from tests.faults.lying_s3 import LyingS3, gets
from tests.faults.proxy import FaultProxy
from tests.s3.awkward import awkward_keys
from tests.s3.conftest import Origin
from tests.s3.reading import Thing, by_way_of, fails_with, of_stub, port_of, reading, stubbed

KIB, MIB = 1 << 10, 1 << 20
SIZES = [
    1,
    2,
    *(border + more for border in (48 * KIB, 256 * KIB, MIB, 2 * MIB) for more in (-1, 0, 1)),
    8 * MIB,
    20 * MIB,
]


async def test_every_size(origin: Origin) -> None:
    large = origin.things["large"]
    async with reading(origin.server.environment()) as reader:
        for size in SIZES:
            if size <= large.content.size:
                at = (0, large.content.size - size, min(123_457, large.content.size - size))
                reads = [reader.start(large, start, start + size) for start in at]
                for read in reads:
                    await read.right()
        await reader.start(origin.things["small"]).right()
        assert reader.retries("connection") == reader.retries("idle_connection") == 0
        assert reader.received_bytes() > 0


async def test_200_at_once(s3_server: EmbeddedS3, stored: dict[str, Thing]) -> None:
    large = stored["large"]
    chance = random.Random(2)
    async with reading(s3_server.environment(), connections=32) as reader:
        for _ in range(2):
            reads = []
            for _ in range(200):
                size = chance.choice([100, 40 * KIB, 200 * KIB, 700 * KIB, MIB + 300 * KIB])
                start = chance.randrange(large.content.size - size)
                reads.append(reader.start(large, start, start + size, urgent=chance.random() < 0.1))
            await asyncio.gather(*(read.right() for read in reads))
        assert reader.outcomes("ok") == 400
        assert reader.reader.open_connections <= 32


async def test_no_more_connections_than_the_limit(s3_server: EmbeddedS3, stored: dict[str, Thing]) -> None:
    async with (
        FaultProxy("127.0.0.1", port_of(s3_server)) as proxy,
        reading(by_way_of(s3_server, proxy.port), connections=5) as reader,
    ):
        most = 0
        reads = [reader.start(stored["small"], start, start + 50) for start in range(300)]
        while not all(read.ended.is_set() for read in reads):
            most = max(most, proxy.open_connections)
            await asyncio.sleep(0)
        for read in reads:
            await read.right()
        assert (most, proxy.connections, reader.reader.open_connections) == (5, 5, 5)


async def test_a_small_read_makes_no_task_future_or_timer(
    s3_server: EmbeddedS3, stored: dict[str, Thing], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Counter[str] = Counter()
    loop = asyncio.get_running_loop()

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(loop, name)

        def count(*args: Any, **kwargs: Any) -> Any:
            made[name] += 1
            return original(*args, **kwargs)

        return count

    async with reading(s3_server.environment(), connections=4) as reader:
        for read in [reader.start(stored["small"]) for _ in range(4)]:
            await read.right()
        for name in ("create_task", "create_future", "call_at"):
            monkeypatch.setattr(loop, name, counted(name))
        began = loop.time()
        reads = [reader.start(stored["small"], start, start + 50) for start in range(100)]
        while not all(read.ended.is_set() for read in reads):
            await asyncio.sleep(0)
        assert made["create_task"] == 0
        looks = (loop.time() - began) / stragglers.LOOK_SECONDS
        assert made["create_future"] + made["call_at"] <= 4 + looks  # the reader's watches may have looked around
        assert reader.outcomes("ok") == 104


async def test_latency_is_paid_once_for_all() -> None:
    latency_seconds = 0.05
    async with LyingS3({"small": Synthetic(10 * KIB)}) as stub, reading(of_stub(stub), connections=64) as reader:
        small = stubbed(stub, "small")
        await reader.start(small).right()
        stub.on(gets(), lies.slow_first_byte(latency_seconds))
        with standing_still() as clock:
            began = clock.now
            for read in [reader.start(small, start, start + 50) for start in range(128)]:
                await clock.run(read.ended.is_set, idle=lambda: stub.pausing == reader.in_flight)
                await read.right()
            assert clock.now - began < 3 * latency_seconds, "128 are twice 64"


async def test_versions(s3_server: EmbeddedS3, bucket: Bucket) -> None:
    await bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    things = []
    for data in (b"old" * 30_000, b"newer" * 30_000):
        put = await bucket.client.put_object(Bucket=bucket.name, Key="a key", Body=data)
        things.append(Thing(bucket.name, "a key", Given(data), put["ETag"], put["VersionId"]))
    old, new = things
    async with reading(s3_server.environment()) as reader:
        await reader.start(old).right()
        await reader.start(new, 5, 11).right()
        unknown = Thing(bucket.name, "a key", old.content, old.etag, old.version_id[:-4] + "0000")
        assert "a key" in await fails_with(NoSuchObject, reader.start(unknown).right())
        without_version = Thing(bucket.name, "a key", old.content, old.etag)
        assert f"s3://{bucket.name}/a key" in await fails_with(SourceChanged, reader.start(without_version).right())


async def test_awkward_keys(s3_server: EmbeddedS3, bucket: Bucket) -> None:
    """As many as the server takes: SeaweedFS keeps files, and merges slashes and dots."""
    keys = [key for key in awkward_keys(150) if "//" not in f"/{key}/" and "/." not in f"/{key}" and "\0" not in key]
    things = []
    for number, key in enumerate(keys):
        data = f"{number} {key}".encode()
        put = await bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
        things.append(Thing(bucket.name, key, Given(data), put["ETag"]))
    assert len(things) > 30
    async with reading(s3_server.environment()) as reader:
        for read in [reader.start(thing) for thing in things]:
            await read.right()


async def test_what_is_not_there(s3_server: EmbeddedS3, stored: dict[str, Thing]) -> None:
    small = stored["small"]
    async with reading(s3_server.environment()) as reader:
        missing = Thing(small.bucket, "no such key", small.content, small.etag)
        assert "/no such key: " in await fails_with(NoSuchObject, reader.start(missing).right())
        changed = Thing(small.bucket, "small", small.content, '"00000000000000000000000000000000"')
        assert "/small: " in await fails_with(SourceChanged, reader.start(changed).right())
        shorter = Thing(small.bucket, "small", Given(bytes(20_000)), small.etag)
        assert "/small: " in await fails_with(SourceChanged, reader.start(shorter, 15_000, 16_000).right())
        await reader.start(small).right()
        assert reader.reader.open_connections == 1  # an error is read to its end, so its connection goes on


async def test_a_wrong_secret(s3_server: EmbeddedS3, stored: dict[str, Thing]) -> None:
    async with reading({**s3_server.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"}) as reader:
        message = await fails_with(AccessDenied, reader.start(stored["small"]).right())
        assert "the secret key does not fit the access key" in message
        assert reader.outcomes("access_denied") == 1
    async with reading({**s3_server.environment(), "AWS_ACCESS_KEY_ID": "nobody"}) as reader:
        message = await fails_with(AccessDenied, reader.start(stored["small"]).right())
        assert "the access key is not known" in message
