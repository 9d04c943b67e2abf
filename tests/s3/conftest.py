"""Objects on the run's SeaweedFS, put there once: plain and behind TLS."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pytest
from botocore import loaders

from bucketzip.embedded import EmbeddedS3
from tests.bucket import connect
from tests.faults.content import Given
from tests.s3.reading import Thing

KIB, MIB = 1 << 10, 1 << 20
_create_loader = cache(loaders.create_loader)


@pytest.fixture(autouse=True)
def _models_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session reads megabytes of JSON. A server has one, these tests have hundreds."""
    monkeypatch.setattr("botocore.session.create_loader", _create_loader)


def store(server: EmbeddedS3, sizes: Mapping[str, int]) -> dict[str, Thing]:
    async def put_all() -> dict[str, Thing]:
        chance = random.Random(1)
        things = {}
        async with connect(server) as client:
            for key, size in sizes.items():
                data = chance.randbytes(size)
                put = await client.put_object(Bucket=server.bucket, Key=key, Body=data)
                things[key] = Thing(server.bucket, key, Given(data), put["ETag"])
        return things

    return asyncio.run(put_all())


@dataclass(frozen=True)
class Origin:
    """A server with objects on it."""

    server: EmbeddedS3
    things: dict[str, Thing]


@pytest.fixture(params=["plain", "tls"])
def origin(request: pytest.FixtureRequest) -> Origin:
    prefix = "tls_" if request.param == "tls" else ""
    return Origin(request.getfixturevalue(f"{prefix}s3_server"), request.getfixturevalue(f"{prefix}stored"))


@pytest.fixture(scope="session")
def stored(s3_server: EmbeddedS3) -> dict[str, Thing]:
    return store(s3_server, {"large": 20 * MIB, "small": 10 * KIB, "one": 1})


@pytest.fixture(scope="session")
def tls_stored(tls_s3_server: EmbeddedS3) -> dict[str, Thing]:
    return store(tls_s3_server, {"large": 4 * MIB, "small": 10 * KIB})
