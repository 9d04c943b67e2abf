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
from bucketzip.archive.manifest import ManifestError
from bucketzip.errors import (
    BucketzipError,
    InvalidRequest,
    LinkExpired,
    LinkRevoked,
    NoSuchLink,
    StillPlanning,
    TooManyPlans,
    recorded,
)
from bucketzip.plan.accounts import Account, Accounts
from bucketzip.plan.activity import Activity
from bucketzip.plan.planner import Planner, builder_for
from bucketzip.plan.remedies import as_fields, remedied
from bucketzip.plan.request import DownloadRequest
from bucketzip.plan.revocations import Revocations
from bucketzip.plan.sealing import Sealing
from bucketzip.state.capabilities import Capabilities, hash_capability, new_id
from bucketzip.state.links import Link, Links, Standing
from bucketzip.state.manifests import Manifests
from bucketzip.state.paging import Page
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
    InvalidRequest for what a request may not want here. `plans_at_once` and `most_entries` are limits, which see
    `settings`.
    """

    def __init__(
        self,
        links: Links,
        manifests: Manifests,
        accounts: Accounts[Account],
        processes: Processes,
        activity: Activity,
        *,
        capabilities: Capabilities,
        sealing: Sealing,
        ways: LabelledCounter,
        sweep_jobs: Callable[[], Awaitable[set[str]]],
        check: Callable[[DownloadRequest], None] = lambda _: None,
        plans_at_once: int = 16,
        most_entries: int | None = None,
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
        self._plans_at_once = plans_at_once
        self._slots = asyncio.Semaphore(plans_at_once)  # those of dead processes come all at once
        self._most_entries = most_entries
        self._plans: dict[bytes, asyncio.Task[None]] = {}
        self.revocations = Revocations(links)
        self.activity = activity

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Downloads"]:
        """Go on with what dead processes were planning; forget what has expired, now and then."""
        for_ever = (self._sweep_for_ever(), self.revocations.watch(), self.activity.watch())
        own = [asyncio.create_task(each) for each in for_ever]
        try:
            yield self
        finally:
            tasks = [*own, *self._plans.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def planning(self) -> int:
        """How many plans are made in this process, or wait for that."""
        return len(self._plans)

    async def create(self, request: DownloadRequest, owner: str) -> tuple[str, Link]:
        """A new link, its planning under way; returns its capability, too, which is not kept.

        Raises InvalidRequest, also where its credentials may not be used, and TooManyPlans.
        """
        link, _ = await self.create_once(request, owner, None)
        return self.capability(link), link

    async def create_once(self, request: DownloadRequest, owner: str, idempotency_key: str | None) -> tuple[Link, bool]:
        """A link, its planning under way, and whether it is new.

        The same key and request give the same link again, while that works. Raises IdempotencyConflict where the key
        came with another request, InvalidRequest, and TooManyPlans.
        """
        self._check(request)
        if len(self._plans) >= self._plans_at_once:
            raise TooManyPlans
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
            idempotency_key=idempotency_key,
            request_digest=request.digest,
        )
        kept = await self._links.add(link)
        if kept.id == link.id:
            self._start(link, request)
        return kept, kept.id == link.id

    def capability(self, link: Link) -> str:
        """What stands in the link's URL."""
        return self._capabilities.of_download(link.id)

    async def find(self, link_id: str) -> Link:
        """The link of an id; raises NoSuchLink."""
        link = await self._links.find(link_id)
        if link is None:
            raise NoSuchLink
        return link

    async def page(
        self, *, owner: str | None = None, standing: Standing | None = None, after: str | None = None, limit: int
    ) -> Page[Link]:
        """The newest first; `after` is the `next` of the page before. Raises InvalidRequest where it is none."""
        return await self._links.page(now=time.time(), owner=owner, standing=standing, after=after, limit=limit)

    async def revoke(self, link_id: str) -> Link:
        """End a link, and all that goes on for it: here at once, in other processes soon. Raises NoSuchLink."""
        link = await self._links.revoke(link_id, int(time.time()))
        if link is None:
            raise NoSuchLink
        self.revocations.end(link_id)
        return link

    async def planned(self, capability: str, timeout_seconds: float) -> Link | None:
        """The link, once it is planned or the time is up; None where there is no such link."""
        until = time.monotonic() + timeout_seconds
        while True:
            plan = self._plans.get(hash_capability(capability))
            if plan is not None:
                await asyncio.wait([plan], timeout=max(0.0, until - time.monotonic()))
            link = await self._links.get(capability)
            settled = link is None or link.standing(time.time()) != "planning"
            if settled or time.monotonic() >= until:
                return link
            assert link is not None
            if plan is None and not await self._adopt(link):  # another process is at it
                await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def opened(self, link: Link) -> AsyncIterator[Opened]:
        """The archive behind a planned link, read with its credentials; raises what planning ended with."""
        if error := ended(link, time.time()):
            raise error
        if link.manifest is None:
            raise StillPlanning
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
            async with (
                self._slots,
                self.revocations.heeded(link.id),
                self._accounts.using(link.credential) as account,
            ):
                crcs, builder = account.discovery(), builder_for(request, origin=account.origin)
                await Planner(request, account.catalog, crcs, builder, most_entries=self._most_entries).plan()
            digest = await asyncio.to_thread(self._manifests.write, builder)
            manifest = await asyncio.to_thread(self._manifests.open, digest)
            stored = request.compression == "store"
            size = Layout(manifest, digest).size if stored else None
            summary = crcs.summary
            told = {
                "source_bytes": sum(builder.sizes),
                "compression": request.compression,
                "level": None if stored else request.level,
                **asdict(summary),
            }
            await self._links.planned(link, manifest=digest, size=size, entries=len(manifest), summary=json.dumps(told))
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
                    "bytes": told["source_bytes"],
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


def ended(link: Link, now: float, *, hints: bool = True) -> BucketzipError | None:
    """Why the link does not work at the time `now`, if it does not; one that is being planned may yet.

    `hints` tell which field of our own API would help.
    """
    standing = link.standing(now)
    if standing == "revoked":
        return LinkRevoked()
    if standing == "expired":
        return LinkExpired()
    if standing in {"failed", "changed"}:
        return recorded(link.error_code or "", error_detail(link) if hints else link.error_detail or "")
    return None


def error_detail(link: Link) -> str:
    """What planning ended with, and what may be asked for instead."""
    return remedied(link.error_code or "", link.error_detail or "", json.loads(link.request), as_fields)
