"""Planning goes on: after whoever asked has left, after a restart, beside another process, and in spite of bad luck."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bucketzip.archive.layout import Layout
from bucketzip.errors import SourceChanged
from bucketzip.metrics import Metrics
from bucketzip.plan import downloads as module
from bucketzip.plan.accounts import Account
from bucketzip.plan.activity import Activity
from bucketzip.plan.browsing import Bucket, Level, Totals
from bucketzip.plan.catalog import Catalog, Listed, Pages
from bucketzip.plan.downloads import Downloads
from bucketzip.plan.request import DownloadRequest
from bucketzip.plan.signer import Signer
from bucketzip.state.capabilities import Capabilities, hash_capability
from bucketzip.state.database import open_database
from bucketzip.state.job_states import State
from bucketzip.state.jobs import Jobs
from bucketzip.state.links import Link, Links
from bucketzip.state.manifests import GRACE_SECONDS, Manifests
from bucketzip.state.processes import join_processes
from bucketzip.state.running import RunningDownloads
from bucketzip.transfer.budget import Budget
from bucketzip.transfer.fetch import Fetch
from bucketzip.transfer.opened import OpenArchives
from bucketzip.transfer.pump import Engine
from tests.jobs.making import made_job
from tests.plan.planning import KEY, SEALING, Memory, Shelf, discovery, listed

REQUEST = DownloadRequest.model_validate({"sources": ["s3://bucket"], "filename": "x"})
GONE = DownloadRequest.model_validate({"sources": ["s3://bucket/gone"]})


class Waiting(Shelf):
    """Lists nothing before it may."""

    def __init__(self, *keys: str) -> None:
        super().__init__(*keys)
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    async def pages(self, bucket: str, prefix: str) -> Pages:
        self.asked.set()
        await self.may.wait()
        async for page in super().pages(bucket, prefix):
            yield page


class NothingToRead:
    """A reader for those who only plan."""

    def start(self, fetch: Fetch) -> None:
        raise AssertionError("nothing is read here")

    def cancel(self, fetch: Fetch) -> None:
        raise AssertionError("nothing is read here")

    async def read(self, bucket: str, key: str, *, most_bytes: int) -> bytes:
        raise AssertionError("nothing is read here")


class NothingToSee:
    """A browser for those who look for nothing."""

    async def buckets(self) -> list[Bucket]:
        raise AssertionError("nobody looks around here")

    async def level(self, bucket: str, prefix: str, *, after: str, limit: int) -> Level:
        raise AssertionError("nobody looks around here")

    async def totals(self, bucket: str, prefix: str, *, after: str, most_keys: int, most_seconds: float) -> Totals:
        raise AssertionError("nobody looks around here")


async def nobody() -> Signer:
    raise AssertionError("nobody asks here")


class OnlyOne:
    """One account, with a catalog in memory. `used` has the credentials of those who used it."""

    def __init__(self, catalog: Catalog, manifests: Manifests) -> None:
        self.used: list[str | None] = []
        engine = Engine(NothingToRead(), Budget(1 << 24, now=time.monotonic))
        self._account = Account(
            catalog=catalog,
            browser=NothingToSee(),
            signer=nobody,
            discovery=discovery,
            engine=engine,
            archives=OpenArchives(manifests.open, engine, Memory(), None),
            crc_memory=Memory(),
            small_objects=NothingToRead(),
        )

    @asynccontextmanager
    async def using(self, sealed: str | None) -> AsyncIterator[Account]:
        self.used.append(sealed)
        yield self._account


class Machine:
    """A machine's state, as the tests look at it."""

    def __init__(self, links: Links, jobs: Jobs, manifests: Manifests, downloads: Downloads) -> None:
        self.links = links
        self.jobs = jobs
        self.manifests = manifests
        self.downloads = downloads


@asynccontextmanager
async def process(directory: Path, catalog: Catalog, *, most_bytes: int = 1 << 20) -> AsyncIterator[Machine]:
    """Run what one server process has of it."""
    async with open_database(directory) as database, join_processes(directory) as processes:
        links, jobs = Links(database), Jobs(database)
        manifests = Manifests(directory / "manifests", most_bytes=most_bytes)
        async with Downloads(
            links,
            manifests,
            OnlyOne(catalog, manifests),
            processes,
            Activity(RunningDownloads(database, processes)),
            capabilities=Capabilities(KEY),
            sealing=SEALING,
            ways=Metrics().crcs,
            sweep_jobs=lambda: jobs.sweep(3600),
        ).running() as downloads:
            yield Machine(links, jobs, manifests, downloads)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_link_is_planned(tmp_path: Path) -> None:
    async with process(tmp_path, Shelf("a", "b")) as machine:
        capability, link = await machine.downloads.create(REQUEST, "owner")
        assert link.state == "planning"
        planned = await machine.downloads.planned(capability, 10)
        assert planned is not None
        assert (planned.state, planned.entries, planned.owner, planned.filename) == ("ready", 2, "owner", "x.zip")
        assert planned.expires_at - planned.created_at == REQUEST.expires_in
        assert planned.manifest is not None
        manifest = machine.manifests.open(planned.manifest)
        assert [manifest.name(0), manifest.name(1)] == [b"a", b"b"]
        assert Layout(manifest).size == planned.bytes


async def test_nobody_waits_longer_than_asked(tmp_path: Path) -> None:
    catalog = Waiting("a")
    async with process(tmp_path, catalog) as machine:
        capability, _ = await machine.downloads.create(REQUEST, "owner")
        waiting = await machine.downloads.planned(capability, 0.1)
        assert waiting is not None
        assert waiting.state == "planning"
        catalog.may.set()
        planned = await machine.downloads.planned(capability, 120)
        assert planned is not None
        assert planned.state == "ready"


async def test_whoever_waits_and_leaves_stops_nothing(tmp_path: Path) -> None:
    catalog = Waiting("a")
    async with process(tmp_path, catalog) as machine:
        capability, _ = await machine.downloads.create(REQUEST, "owner")
        waiting = asyncio.create_task(machine.downloads.planned(capability, 10))
        await catalog.asked.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        catalog.may.set()
        planned = await machine.downloads.planned(capability, 10)
        assert planned is not None
        assert planned.state == "ready"


async def test_planning_goes_on_after_a_restart(tmp_path: Path) -> None:
    catalog = Waiting("a", "b")
    async with process(tmp_path, catalog) as machine:
        capability, _ = await machine.downloads.create(REQUEST, "owner")
        await catalog.asked.wait()
    async with process(tmp_path, Shelf("a", "b")) as machine:
        planned = await machine.downloads.planned(capability, 10)
        assert planned is not None
        assert (planned.state, planned.entries) == ("ready", 2)
    async with process(tmp_path, Waiting()) as machine:
        assert await machine.downloads.planned(capability, 10) == planned, "and is not planned once more"


async def test_an_unknown_capability_is_no_link(tmp_path: Path) -> None:
    async with process(tmp_path, Shelf("a")) as machine:
        assert await machine.downloads.planned("nobody's", 10) is None


async def test_a_plan_that_fails_says_why(tmp_path: Path) -> None:
    async with process(tmp_path, Shelf("a")) as machine:
        capability, _ = await machine.downloads.create(GONE, "owner")
        failed = await machine.downloads.planned(capability, 10)
    assert failed is not None
    assert (failed.state, failed.error_code) == ("failed", "no_such_object")
    assert failed.error_detail is not None
    assert "s3://bucket/gone" in failed.error_detail


async def test_a_bug_while_planning_is_told_without_its_details(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Shelf):
        async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
            raise ZeroDivisionError("a secret detail")

    async with process(tmp_path, Broken()) as machine:
        capability, _ = await machine.downloads.create(GONE, "owner")
        failed = await machine.downloads.planned(capability, 10)
    assert failed is not None
    assert (failed.state, failed.error_code) == ("failed", "internal")
    assert "a secret detail" not in str(failed)
    assert "a secret detail" in caplog.text


async def test_no_room_for_a_plan_is_told(tmp_path: Path) -> None:
    async with process(tmp_path, Shelf("a"), most_bytes=10) as machine:
        capability, _ = await machine.downloads.create(REQUEST, "owner")
        failed = await machine.downloads.planned(capability, 10)
    assert failed is not None
    assert (failed.state, failed.error_code) == ("failed", "state_full")


async def test_a_source_that_changed_marks_its_link(tmp_path: Path) -> None:
    async with process(tmp_path, Shelf("a")) as machine:
        capability, _ = await machine.downloads.create(REQUEST, "owner")
        planned = await machine.downloads.planned(capability, 10)
        assert planned is not None
        await machine.downloads.changed(planned, SourceChanged("s3://bucket/a changed"))
        changed = await machine.downloads.planned(capability, 10)
    assert changed is not None
    assert (changed.state, changed.error_code) == ("changed", "source_changed")
    assert changed.error_detail == "s3://bucket/a changed"


async def test_the_same_objects_share_one_manifest(tmp_path: Path) -> None:
    async with process(tmp_path, Shelf("a", "b")) as machine:
        digests = set()
        for _ in range(3):
            capability, _ = await machine.downloads.create(REQUEST, "owner")
            planned = await machine.downloads.planned(capability, 10)
            assert planned is not None
            digests.add(planned.manifest)
    assert len(digests) == 1


async def test_what_a_living_process_plans_is_waited_for(tmp_path: Path) -> None:
    slow, idle = Waiting("a", "b", "c"), Waiting("a")
    async with process(tmp_path, slow) as first, process(tmp_path, idle) as second:
        capability, _ = await first.downloads.create(REQUEST, "owner")
        await slow.asked.wait()
        still = await second.downloads.planned(capability, 0)
        assert still is not None
        assert still.state == "planning"
        waiting = asyncio.create_task(second.downloads.planned(capability, 10))
        slow.may.set()
        planned = await waiting
        assert planned is not None
        assert (planned.state, planned.entries) == ("ready", 3)
        assert not idle.asked.is_set(), "it was planned once"


async def test_what_a_process_was_planning_when_it_died_is_taken_over_by_who_waits(tmp_path: Path) -> None:
    slow = Waiting("a", "b", "c")
    async with process(tmp_path, Shelf("a")) as second:
        async with process(tmp_path, slow) as first:
            capability, _ = await first.downloads.create(REQUEST, "owner")
            await slow.asked.wait()
            waiting = asyncio.create_task(second.downloads.planned(capability, 10))
        planned = await waiting
        assert planned is not None
        assert (planned.state, planned.entries) == ("ready", 1)


async def test_a_link_tells_what_it_was_planned_with(tmp_path: Path) -> None:
    async with process(
        tmp_path, Shelf(listed("a", version_id="v"), listed("b", crc=7), listed("c", size=0))
    ) as machine:
        capability, _ = await machine.downloads.create(REQUEST, "owner")
        planned = await machine.downloads.planned(capability, 10)
    assert planned is not None
    assert json.loads(planned.summary or "") == {
        "source_bytes": 2,
        "compression": "store",
        "level": None,
        "crc": {"stored": 1, "rebuilt": 0, "cached": 0, "copied": 0, "computed": 1},
        "pinned": {"version": 1, "etag": 2},
    }


async def test_a_request_of_another_release_is_told_and_stops_nothing(tmp_path: Path) -> None:
    now = int(time.time())
    async with open_database(tmp_path) as database:
        for name, request in (
            ("old", '{"sources": ["s3://bucket"], "feature": 1}'),
            ("good", REQUEST.model_dump_json()),
        ):
            await Links(database).add(
                Link(name, hash_capability(name), "owner", "x.zip", request, now, now + 1000, "planning")
            )
    async with process(tmp_path, Shelf("a")) as machine:
        old, good = await machine.downloads.planned("old", 10), await machine.downloads.planned("good", 10)
    assert old is not None
    assert (old.state, old.error_code) == ("failed", "invalid_request")
    assert good is not None
    assert good.state == "ready"


async def test_what_expired_is_not_planned_again(tmp_path: Path) -> None:
    now = int(time.time())
    async with open_database(tmp_path) as database:
        link = Link(
            "old", hash_capability("old"), "owner", "x.zip", REQUEST.model_dump_json(), now - 100, now - 1, "planning"
        )
        await Links(database).add(link)
    catalog = Waiting("a")
    async with process(tmp_path, catalog) as machine:
        assert await machine.downloads.planned("old", 10) == link
        assert not catalog.asked.is_set()


def left_behind(path: Path) -> None:
    path.touch()
    then = time.time() - GRACE_SECONDS - 10
    os.utime(path, (then, then))


async def test_the_sweep_comes_again_and_survives_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.02)
    folder = tmp_path / "manifests"
    async with process(tmp_path, Shelf("a")) as machine:
        folder.rmdir()
        await until(lambda: "sweeping failed" in caplog.text)
        folder.mkdir()
        left_behind(folder / "old")
        await until(lambda: not (folder / "old").exists())

        capability, _ = await machine.downloads.create(REQUEST, "owner")
        planned = await machine.downloads.planned(capability, 10)
        assert planned is not None
        needed = folder / f"{planned.manifest}.manifest"
        for _ in range(2):  # a round that asked for what is needed before there was this link is over then
            left_behind(folder / "old")
            await until(lambda: not (folder / "old").exists())
        left_behind(needed)
        left_behind(folder / "old")
        await until(lambda: not (folder / "old").exists())
        assert needed.exists()


async def test_the_sweep_keeps_what_jobs_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.02)
    folder = tmp_path / "manifests"
    async with process(tmp_path, Shelf("a")) as machine:
        job = await machine.jobs.add(made_job(manifest="needed"))
        assert await machine.jobs.claim(job, "runner") is not None
        left_behind(folder / "needed.manifest")
        left_behind(folder / "old.manifest")
        await until(lambda: not (folder / "old.manifest").exists())
        assert (folder / "needed.manifest").exists()
        await machine.jobs.transition(job.id, State.PLANNING, State.CANCELLED)
        await until(lambda: not (folder / "needed.manifest").exists())


async def test_nothing_runs_any_more_when_it_has_stopped(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    catalog = Waiting("a")
    async with process(tmp_path, catalog) as machine:
        for _ in range(3):
            await machine.downloads.create(REQUEST, "owner")
        await catalog.asked.wait()
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before
