"""Several server processes on one machine: one state directory, one plan, one reading for a CRC."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import aiohttp

from bucketzip.state.database import FILE_NAME
from tests.command import serving
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3
from tests.web.serving import stub_environment

MIB = 1 << 20


async def part(url: str, start: int) -> bytes:
    async with (
        aiohttp.ClientSession() as client,
        client.get(url, headers={"Range": f"bytes={start}-"}) as answer,
    ):
        assert answer.status == 206, await answer.text()
        return await answer.read()


def wait_until_kept(path: Path, crcs: int) -> None:
    """What was learned is written down once a second."""
    until = time.monotonic() + 120
    with closing(sqlite3.connect(path)) as connection:
        while connection.execute("SELECT count(*) FROM crcs").fetchone() != (crcs,):
            assert time.monotonic() < until
            time.sleep(0.05)


async def test_they_share_plans_and_what_they_learned(tmp_path: Path) -> None:
    """A download that broke at one goes on at the other, without listing or reading anything again."""
    works = [tmp_path / name for name in ("one", "two")]
    for work in works:
        work.mkdir()
    options = ("--state-dir", str(tmp_path / "state"), "--processes", "2", "--scratch", "off")
    async with LyingS3() as stub:
        for number, size in enumerate([100, 9 * MIB, 0, 5000, 12 * MIB]):
            stub.objects.put(f"{number}", Synthetic(size, number))
        environment = stub_environment(stub.endpoint_url)
        with serving(environment, works[0], *options) as one, serving(environment, works[1], *options) as two:
            here, there = await asyncio.to_thread(lambda: (one.base, two.base))
            url = await one.link("s3://stub/")
            other = there + url.removeprefix(here)
            whole = await part(url, 0)
            assert stub.counts["ListObjectsV2"] == 1
            await asyncio.to_thread(wait_until_kept, tmp_path / "state" / FILE_NAME, 4)
            stub.requests.clear()
            assert await part(other, len(whole) - 200) == whole[-200:]
            assert stub.requests == [], "the directory alone needs no content"
            assert await part(other, len(whole) - 5 * MIB) == whole[-5 * MIB :]
            assert {asked.key for asked in stub.requests} == {"4"}
