"""Download links from request to manifest: planned in tasks that outlive whoever asked, and kept through a restart."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict

from pydantic import ValidationError

from bucketzip.archive.layout import Layout
from bucketzip.archive.manifest import ManifestBuilder, ManifestError
from bucketzip.errors import BucketzipError, InvalidRequest, NoSuchLink, recorded
from bucketzip.plan.accounts import Account, Accounts
from bucketzip.plan.planner import Planner
from bucketzip.plan.remedies import as_fields, remedied
from bucketzip.plan.request import DownloadRequest
from bucketzip.plan.sealing import Sealing
from bucketzip.state.capabilities import Capabilities, hash_capability, new_id
from bucketzip.state.links import Link, Links
from bucketzip.state.manifests import Manifests
from bucketzip.state.processes import Processes
from bucketzip.transfer.opened import Opened
from bucketzip.transfer.ports import LabelledCounter

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 600.0
LOOK_SECONDS = 0.25
"""How often it is looked whether another process has planned a link."""


class Downloads:
    """Makes links and plans what is behind them.

    `sweep_jobs` forgets jobs that ended long ago, and tells which manifests the others need. `check` raises
    InvalidRequest for what a request may not want here.
    """

    def __init__(
        self,
        links: Links,
        manifests: Manifests,
        accounts: Accounts[Account],
        processes: Processes,
        *,
        capabilities: Capabilities,
        sealing: Sealing,
        ways: LabelledCounter,
        sweep_jobs: Callable[[], Awaitable[set[str]]],
        check: Callable[[DownloadRequest], None] = lambda _: None,
    ) -> None:
        self._links = links
        self._manifests = manifests
        self._accounts = accounts
        self._sealing = sealing
        self._processes = processes
        self._capabilities = capabilities
        self._ways = ways
        self._sweep_jobs = sweep_jobs
        self._check = check
        self._plans: dict[bytes, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Downloads"]:
        """Go on with what dead processes were planning; forget what has expired, now and then."""
        sweeper = asyncio.create_task(self._sweep_for_ever())
        try:
            yield self
        finally:
            tasks = [sweeper, *self._plans.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def create(self, request: DownloadRequest, owner: str) -> tuple[str, Link]:
        """A new link, its planning under way; returns its capability, too, which is not kept.

        Raises InvalidRequest, also where its credentials may not be used.
        """
        self._check(request)
        link_id, now = new_id(), int(time.time())
        capability = self._capabilities.of_download(link_id)
        link = Link(
            id=link_id,
            capability_hash=hash_capability(capability),
            owner=owner,
            filename=request.filename,
            request=request.model_dump_json(),
            created_at=now,
            expires_at=now + request.expires_in,
            state="planning",
            planner=self._processes.own,
            credential=self._sealing.seal(request.credentials),
        )
        await self._links.add(link)
        self._start(link, request)
        return capability, link

    async def planned(self, capability: str, timeout_seconds: float) -> Link | None:
        """The link, once it is planned or the time is up; None where there is no such link."""
        until = time.monotonic() + timeout_seconds
        while True:
            plan = self._plans.get(hash_capability(capability))
            if plan is not None:
                await asyncio.wait([plan], timeout=max(0.0, until - time.monotonic()))
            link = await self._links.get(capability)
            settled = link is None or link.state != "planning" or link.expires_at <= time.time()
            if settled or time.monotonic() >= until:
                return link
            assert link is not None
            if plan is None and not await self._adopt(link):  # another process is at it
                await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def opened(self, link: Link) -> AsyncIterator[Opened]:
        """The archive behind a planned link, read with its credentials; raises what planning ended with."""
        if link.state != "ready" or link.manifest is None:
            code, detail = link.error_code or "", link.error_detail or ""
            raise recorded(code, remedied(code, detail, json.loads(link.request), as_fields))
        async with self._accounts.using(link.credential) as account:
            try:
                archive = await account.archives.get(link.manifest)
            except (FileNotFoundError, ManifestError) as error:  # gone, or written by another release
                raise NoSuchLink("the plan behind this link is gone; ask for a new one") from error
            yield archive

    async def changed(self, link: Link, error: BucketzipError) -> None:
        """Mark a link whose source changed: it must be asked for anew."""
        await self._links.failed(link, "changed", code=error.code, detail=str(error))

    async def _adopt_all(self) -> None:
        for link in await self._links.planning(int(time.time())):
            await self._adopt(link)

    async def _adopt(self, link: Link) -> bool:
        """Plan what a dead process was planning; False where there is nothing to do for us."""
        if link.planner is not None and await asyncio.to_thread(self._processes.alive, link.planner):
            return False
        if not await self._links.adopt(link, self._processes.own):
            return False
        try:
            self._start(link, DownloadRequest.model_validate_json(link.request))
        except ValidationError:
            detail = "this request was made to another release of bucketzip; make it again"
            await self._links.failed(link, "failed", code=InvalidRequest.code, detail=detail)
        return True

    def _start(self, link: Link, request: DownloadRequest) -> None:
        task = asyncio.create_task(self._plan(link, request))
        self._plans[link.capability_hash] = task
        task.add_done_callback(lambda _: self._plans.pop(link.capability_hash, None))

    async def _plan(self, link: Link, request: DownloadRequest) -> None:
        began = time.monotonic()
        try:
            async with self._accounts.using(link.credential) as account:
                crcs, builder = account.discovery(), ManifestBuilder(origin=account.origin)
                await Planner(request, account.catalog, crcs, builder).plan()
            digest = await asyncio.to_thread(self._manifests.write, builder)
            manifest = await asyncio.to_thread(self._manifests.open, digest)
            size = Layout(manifest, digest).size
            summary = crcs.summary
            await self._links.planned(
                link, manifest=digest, size=size, entries=len(manifest), summary=json.dumps(asdict(summary))
            )
        except BucketzipError as error:
            _log.info("planning failed: %s", error, extra={"link": link.id, "code": error.code})
            await self._links.failed(link, "failed", code=error.code, detail=str(error))
        except Exception:  # noqa: BLE001  -- whatever it was, nobody may wait for this plan any longer
            _log.exception("planning failed", extra={"link": link.id})
            await self._links.failed(link, "failed", code=BucketzipError.code, detail=str(BucketzipError()))
        else:
            seconds = time.monotonic() - began
            for way, entries in summary.crc.items():
                self._ways.labels(way).inc(entries)
            _log.info(
                "planned",
                extra={
                    "link": link.id,
                    "archive": link.filename,
                    "entries": len(manifest),
                    "bytes": size,
                    "seconds": round(seconds, 3),
                },
            )

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self._adopt_all()
                needed = await self._links.sweep(int(time.time())) | await self._sweep_jobs()
                await asyncio.to_thread(self._manifests.sweep, needed)
            except Exception:  # noqa: BLE001  -- a full disk, a locked file: the next round may do better
                _log.exception("sweeping failed")
            await asyncio.sleep(SWEEP_SECONDS)
