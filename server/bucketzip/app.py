"""The composition root of the server, the file to read first: HTTP around what every process of a machine has.

The rest is in `machine.py`, built by hand in the same way: S3, memory, planning, links and jobs.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from aiohttp import web

from bucketzip.exposition import Expositions
from bucketzip.machine import open_machine
from bucketzip.metrics import Metrics
from bucketzip.settings import Settings
from bucketzip.state.initial_user import make_initial_user
from bucketzip.web import keys
from bucketzip.web.access import access_by_handler
from bucketzip.web.auth import authenticated
from bucketzip.web.authority import Authority
from bucketzip.web.cors import cross_origin, tell_origin
from bucketzip.web.handlers.health import own_exposition
from bucketzip.web.limits import DownloadLimits
from bucketzip.web.middleware import errors_as_json, measured, note_body_started, watch_loop_lag
from bucketzip.web.routes import routes

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20


def build_app(settings: Settings) -> web.Application:
    """The whole server, not yet started."""
    app = web.Application(
        middlewares=[measured, errors_as_json, cross_origin, authenticated], client_max_size=MAX_BODY_BYTES
    )
    app[keys.SETTINGS] = settings
    app[keys.METRICS] = Metrics()
    app[keys.STARTED] = time.monotonic()
    app[keys.DOWNLOAD_LIMITS] = DownloadLimits(at_once=settings.downloads_at_once, per_user=settings.downloads_per_user)
    app.on_response_prepare.append(note_body_started)
    app.on_response_prepare.append(tell_origin)
    app.add_routes(table := routes())
    app[keys.ACCESS] = access_by_handler(table)
    app.cleanup_ctx.append(_machine)
    app.on_shutdown.append(_end_watching)
    return app


async def _end_watching(app: web.Application) -> None:
    """Streams of events would go on until the end of draining, and downloads need that time."""
    app[keys.ARCHIVE_JOBS].close()


@asynccontextmanager
async def _machine(app: web.Application) -> AsyncIterator[None]:
    """Started top to bottom, stopped bottom to top."""
    settings = app[keys.SETTINGS]
    async with AsyncExitStack() as stack:
        machine = await stack.enter_async_context(open_machine(settings, app[keys.METRICS]))
        if await make_initial_user(machine.users, settings.state_dir):
            _log.info(
                "made the first user: `bucketzip user show-initial --state-dir %s` tells its secret", settings.state_dir
            )
        app[keys.AUTHORITY] = Authority(
            users=machine.users,
            tokens=machine.tokens,
            trusted_networks=settings.trusted_networks,
            metrics_token=settings.metrics_token.get_secret_value(),
            failures=app[keys.METRICS].auth_failures,
        )
        app[keys.RESULT_LINKS] = machine.result_links
        app[keys.OWN] = machine.own
        app[keys.ACCOUNTS] = machine.accounts
        app[keys.SEALING] = machine.sealing
        app[keys.COMPRESSOR] = machine.compressor
        app[keys.ARCHIVE_JOBS] = machine.jobs
        app[keys.DELIVERIES] = machine.deliveries
        app[keys.CAPABILITIES] = machine.capabilities
        app[keys.CURSORS] = machine.cursors
        app[keys.PROBES] = machine.probes
        app[keys.CHECK_READY] = machine.check_credentials
        expositions = Expositions(partial(own_exposition, app), settings.run_directory, settings.process("serve"))
        app[keys.EXPOSITIONS] = await stack.enter_async_context(expositions.offered())
        if settings.run_jobs:
            await stack.enter_async_context(machine.runner.running(settings.state_dir))
        app[keys.DOWNLOADS] = await stack.enter_async_context(machine.downloads.running())
        lag = asyncio.create_task(watch_loop_lag(app))
        try:
            yield
        finally:
            lag.cancel()
            with suppress(asyncio.CancelledError):
                await lag
