"""The composition root: everything is built here, by hand, once. The file to read first.

credentials -> S3 client -> ranged readers -> engine (budget, blocks) -> downloads
                         -> catalog        -> planning -> links, manifests -> HTTP
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from aiohttp import web

from bucketzip import __version__
from bucketzip.metrics import Metrics
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.downloads import Downloads
from bucketzip.s3.client import open_s3, tls_context
from bucketzip.s3.copied_crcs import CopiedCrcs, NoRemoteCrcs
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.listing import S3Catalog
from bucketzip.s3.probe import Prober
from bucketzip.s3.reader import S3RangeReader
from bucketzip.s3.reader_options import ReaderLimits, ReaderMetrics
from bucketzip.s3.scratch import Place, Scratch
from bucketzip.s3.versions import Versions
from bucketzip.settings import Settings
from bucketzip.state.crcs import CrcTable
from bucketzip.state.database import open_database
from bucketzip.state.links import Links
from bucketzip.state.manifests import Manifests
from bucketzip.state.probes import Probes, ScratchUploads
from bucketzip.state.processes import join_processes
from bucketzip.transfer.budget import Budget
from bucketzip.transfer.opened import OpenArchives
from bucketzip.transfer.ports import RemoteCrcs
from bucketzip.transfer.pump import Engine
from bucketzip.web import keys
from bucketzip.web.middleware import errors_as_json, measured, note_body_started, watch_loop_lag
from bucketzip.web.routes import routes

MAX_BODY_BYTES = 1 << 20
LIST_CONNECTIONS = 64


def build_app(settings: Settings) -> web.Application:
    """The whole server, not yet started."""
    app = web.Application(middlewares=[measured, errors_as_json], client_max_size=MAX_BODY_BYTES)
    app[keys.SETTINGS] = settings
    metrics = app[keys.METRICS] = Metrics()
    metrics.build.info({"version": __version__})
    app.on_response_prepare.append(note_body_started)
    app.add_routes(routes())
    app.cleanup_ctx.append(_parts)
    return app


@asynccontextmanager
async def _parts(app: web.Application) -> AsyncIterator[None]:
    """Started top to bottom, stopped bottom to top."""
    settings, metrics = app[keys.SETTINGS], app[keys.METRICS]
    async with AsyncExitStack() as stack:
        manifests = await asyncio.to_thread(
            Manifests, settings.state_dir / "manifests", most_bytes=settings.manifests_bytes
        )
        database = await stack.enter_async_context(open_database(settings.state_dir))
        processes = await stack.enter_async_context(join_processes(settings.state_dir))
        app[keys.CRC_MEMORY] = memory = CrcTable(database)

        keeper = await stack.enter_async_context(CredentialKeeper().running())
        s3 = await stack.enter_async_context(
            open_s3(keeper, max_connections=LIST_CONNECTIONS, requests=metrics.api_requests)
        )
        remote: RemoteCrcs = NoRemoteCrcs()
        if settings.scratch != "off":
            scratch = await stack.enter_async_context(
                Scratch(s3, ScratchUploads(database), processes, _place(settings.scratch)).running()
            )
            remote = CopiedCrcs(scratch, Prober(s3, scratch, Probes(database)))
        reader = await stack.enter_async_context(
            S3RangeReader(
                s3,
                keeper,
                ReaderMetrics(
                    metrics.range_get_seconds,
                    metrics.range_gets,
                    metrics.retries,
                    metrics.received_bytes,
                    metrics.hedges,
                    metrics.hedges_won,
                ),
                ReaderLimits(
                    connections=settings.s3_connections,
                    tries=settings.s3_tries,
                    stall_seconds=settings.s3_stall_seconds,
                    slow_down_seconds=settings.s3_slow_down_seconds,
                    hedging=settings.s3_hedging,
                ),
                await asyncio.to_thread(tls_context),
            ).running()
        )
        budget = Budget(settings.memory_bytes // settings.processes, now=time.monotonic)
        metrics.budget_bytes.set(budget.total_bytes)
        metrics.budget_used_bytes.set_function(lambda: budget.used_bytes)
        metrics.connections.set_function(lambda: reader.open_connections)
        metrics.waiting.set_function(lambda: reader.waiting)
        metrics.concurrency_limit.set_function(lambda: reader.concurrency_limit)

        app[keys.ENGINE] = Engine(
            reader,
            budget,
            range_bytes=settings.s3_range_bytes,
            reads_at_once=settings.s3_connections,
            stall_seconds=settings.client_stall_seconds,
        )
        app[keys.ARCHIVES] = await stack.enter_async_context(
            OpenArchives(manifests.open, app[keys.ENGINE], memory, remote).running()
        )
        app[keys.CHECK_READY] = lambda: (keeper.current(), None)[1]
        app[keys.DOWNLOADS] = await stack.enter_async_context(
            Downloads(
                Links(database),
                manifests,
                S3Catalog(s3, keeper, Versions(s3, wanted=settings.pin_versions)),
                processes,
                discovery=lambda: Discovery(memory, remote, most_copied_bytes=settings.scratch_bytes),
                ways=metrics.crcs,
            ).running()
        )
        lag = asyncio.create_task(watch_loop_lag(app))
        try:
            yield
        finally:
            lag.cancel()
            with suppress(asyncio.CancelledError):
                await lag


def _place(scratch: str) -> Place:
    """Where scratch uploads go, by the setting."""
    if scratch == "auto":
        return Place()
    bucket, _, prefix = scratch.removeprefix("s3://").partition("/")
    return Place(bucket, prefix)
