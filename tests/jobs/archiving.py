"""Archives written into buckets, asked for over HTTP as users do, and what the lying store tells of them."""

import asyncio
import io
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from bucketzip.archive.crc import crc32
from bucketzip.state.database import FILE_NAME
from tests.faults import lies
from tests.faults.asked import Asked
from tests.faults.content import Content, Synthetic
from tests.faults.http_reply import Reply, no_effect
from tests.faults.lying_s3 import Lie, LyingS3, Predicate, does
from tests.web.sse import events

MIB = 1 << 20
KEY = "out/a.zip"
SENDS = ("UploadPart", "UploadPartCopy")
FOR_EVER_SECONDS = 1000.0

Told = dict[str, Any]


class Client:
    """Whoever asks the server at `base`."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self._http = http
        self._base = base

    async def begin(self, *sources: str, destination: str = f"s3://stub/{KEY}", **fields: Any) -> str:
        """The id of a new job; by default it is of all that `fill` stores."""
        wanted = {"sources": sources or ["s3://stub/in/"], "destination": destination, **fields}
        async with self._http.post(f"{self._base}/archives", json=wanted) as answer:
            assert answer.status == 202, await answer.text()
            return str((await answer.json())["id"])

    async def until(self, job_id: str, *states: str) -> Told:
        """The job once it is in one of these states; by default, once it is over."""
        return await self.until_it(job_id, lambda told: told["state"] in states, over=not states)

    async def until_it(self, job_id: str, does: Callable[[Told], bool], *, over: bool = False) -> Told:
        """The job once it does that; it must, unless it is to be over."""
        async with self._http.get(f"{self._base}/archives/{job_id}/events") as answer:
            told: Told = {}
            async for event in events(answer):
                told = event.data or told
                if told and does(told):
                    return told
            assert over, told
            return told

    async def archived(self, *sources: str, **fields: Any) -> Told:
        """A job that must succeed, once it has."""
        job = await self.until(await self.begin(*sources, **fields))
        assert job["state"] == "succeeded", job
        return job

    async def failed(self, *sources: str, **fields: Any) -> Told:
        """A job that must not, once it has."""
        job = await self.until(await self.begin(*sources, **fields))
        assert job["state"] == "failed", job
        return job

    async def cancel(self, job_id: str) -> None:
        async with self._http.delete(f"{self._base}/archives/{job_id}") as answer:
            assert answer.status == 202, await answer.text()


class Moment:
    """When the store has done (or just been asked) something, and keeps the answer to itself.

    The client waits for it as long as it lives, unless somebody `let_go`.
    """

    def __init__(self, stub: LyingS3, applies: Predicate, *, done: bool = True, skip: int = 0) -> None:
        self._come = asyncio.Event()
        self._done = done
        self._held = True
        stub.on(applies, self._hold, skip=skip)

    async def come(self) -> None:
        await asyncio.wait_for(self._come.wait(), 120)

    def let_go(self) -> None:
        """Answer whoever asks from now on."""
        self._held = False

    def _hold(self, asked: Asked, honest: Reply) -> Reply:
        if not self._held:
            return honest
        self._come.set()
        return held(done=self._done)(asked, honest)


def held(*, done: bool = False) -> Lie:
    """It is done or not, and no answer comes."""
    return lambda asked, honest: replace(
        honest, delay_seconds=FOR_EVER_SECONDS, effect=honest.effect if done else no_effect
    )


def away() -> Lie:
    """Nothing is done, and the connection is closed."""
    return lambda asked, honest: lies.garbage_head(b"")(asked, replace(honest, effect=no_effect))


def once_sent(stub: LyingS3, parts: int) -> Predicate:
    """Pick whatever is asked once more than so many parts were sent."""
    return lambda _: sum(map(sends(), stub.requests)) > parts


def sends(key: str = KEY) -> Predicate:
    """Pick parts of an archive, copied and built."""
    return lambda asked: asked.operation in SENDS and asked.key == key


def creates(key: str = KEY) -> Predicate:
    return does("CreateMultipartUpload", key)


def fill(stub: LyingS3, sizes: Mapping[str, int], *, prefix: str = "in/") -> dict[str, bytes]:
    """Store objects, each with a content of its own; returns what an archive of them holds."""
    contents: dict[str, bytes] = {}
    for seed, (name, size) in enumerate(sizes.items()):
        content = Synthetic(size, seed)
        stub.objects.put(prefix + name, content)
        contents[name] = content.read(0, size)
    return contents


def times_sent(stub: LyingS3, key: str = KEY) -> Counter[tuple[str, int]]:
    """How often each (upload, part number) was sent."""
    return Counter(
        (asked.query["uploadId"], int(asked.query["partNumber"])) for asked in stub.requests if sends(key)(asked)
    )


def receipted(state: Path) -> set[tuple[str, int]]:
    """The (upload, part number) of all that have a receipt, by the file."""
    with closing(sqlite3.connect(state / FILE_NAME)) as connection:
        return set(connection.execute("SELECT upload_id, part FROM receipts JOIN jobs ON job_id = id"))


def stored(stub: LyingS3, key: str = KEY) -> bytes:
    """The archive as it stands; what the store knows of it must be true."""
    found = stub.objects.find(key, None)
    assert found is not None
    content: Content = found.content
    archive = content.read(0, content.size)
    if found.checksum_type is not None:
        assert (found.checksum_type, found.crc) == ("FULL_OBJECT", crc32(archive))
    return archive


def assert_holds(archive: bytes, contents: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        names = opened.namelist()
        assert sorted(names) == sorted(contents)
        for name in names:
            assert opened.read(name) == contents[name], name


def assert_archived(stub: LyingS3, contents: Mapping[str, bytes], key: str = KEY) -> bytes:
    """The archive is there, holds just that, and nothing else is left of its making."""
    archive = stored(stub, key)
    assert_holds(archive, contents)
    assert_nothing_left(stub)
    return archive


def assert_nothing_left(stub: LyingS3) -> None:
    assert [upload.key for upload in stub.uploads_left] == []
