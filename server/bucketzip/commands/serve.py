"""`bucketzip serve`: the HTTP server. Every setting is an option."""

import argparse
import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from ssl import SSLContext

from aiohttp import web

from bucketzip.app import build_app
from bucketzip.commands.self_signed import TlsFiles, self_signed
from bucketzip.commands.settings import add_settings, read_settings, working_in
from bucketzip.commands.signals import signalled
from bucketzip.commands.systemd import inherited_sockets, notify, notify_stopping, watched
from bucketzip.commands.tls import Certificate
from bucketzip.logs import configure
from bucketzip.settings import Settings
from bucketzip.web.middleware import AccessLogger, unexpected

_log = logging.getLogger(__name__)

QUEUE = 1024
"""Connections that may wait to be accepted."""

_EXAMPLES = """examples:
  bucketzip serve                                     with the instance's role, on 127.0.0.1:8080
  bucketzip serve --host 0.0.0.0 --port 80 --state-dir /var/lib/bucketzip
  AWS_ENDPOINT_URL_S3=http://127.0.0.1:9000 bucketzip serve

then:
  curl -H "Authorization: Bearer $(bucketzip user token)" -d '{"sources": ["s3://bucket/folder/"]}' \
    http://127.0.0.1:8080/downloads

Each option is also a variable: --state-dir is BUCKETZIP_STATE_DIR. AWS's own variables (AWS_REGION, AWS_PROFILE,
AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, AWS_CA_BUNDLE ...) work as everywhere.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "serve",
        description="Serve download links over HTTP, and write archives into buckets.",
        usage="bucketzip serve [options]",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings(parser, Settings.model_fields)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit status."""
    settings = read_settings(options)
    configure(settings.log_format, settings.log_level)
    with working_in(settings):
        asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let running downloads finish for a while."""
    http_log = logging.getLogger("bucketzip.http")
    http_log.addFilter(unexpected)
    runner = web.AppRunner(
        build_app(settings),
        handler_cancellation=True,  # a client that leaves stops its ranged GETs at once
        # aiohttp waits for so long twice, before and after it closes a request's body; and 0 is for ever.
        shutdown_timeout=max(settings.drain_seconds / 2, 0.001),
        access_log_class=AccessLogger,
        logger=http_log,
        access_log=logging.getLogger("bucketzip.access"),
        # Also for the first request's head, and for one that comes in pieces: aiohttp looks only whether it is there.
        keepalive_timeout=settings.client_read_seconds,
        auto_decompress=False,  # a compressed body is refused, and never unfolded
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watched())
        context = await stack.enter_async_context(_tls(settings))
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await _listen(runner, settings, context)
        notify("READY=1")
        await signalled()
        notify_stopping(settings.drain_seconds)
        _log.info("draining: running downloads may go on for %g s, or until a second signal", settings.drain_seconds)


@asynccontextmanager
async def _tls(settings: Settings) -> AsyncIterator[SSLContext | None]:
    """What connections are encrypted with, if they are."""
    if settings.tls_self_signed:
        files = await asyncio.to_thread(self_signed, settings.state_dir, settings.public_url)
    elif settings.tls_certificate:
        files = TlsFiles(Path(settings.tls_certificate), Path(settings.tls_key))
    else:
        yield None
        return
    certificate = await asyncio.to_thread(Certificate, *files)
    async with certificate.followed():
        yield certificate.context


async def _listen(runner: web.AppRunner, settings: Settings, context: SSLContext | None) -> None:
    """On the sockets that systemd has opened, else on one of our own."""
    inherited = inherited_sockets()
    for listening in inherited:
        # Of processes that share a socket, none is to take all that wait: one connection each time it looks.
        await web.SockSite(runner, listening, ssl_context=context, backlog=1).start()
        listening.listen(QUEUE)
    if not inherited:
        await _listen_here(runner, settings.host, settings.port, context)
    for address, number, *_ in runner.addresses:
        name = f"[{address}]" if ":" in address else address
        scheme = "https" if context else "http"
        _log.info("listening on %s://%s:%s", scheme, name, number, extra={"pid": os.getpid()})


async def _listen_here(runner: web.AppRunner, host: str, port: int, context: SSLContext | None) -> None:
    try:
        await web.TCPSite(runner, host, port, ssl_context=context, backlog=QUEUE).start()
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise OSError(f"cannot listen on {host}:{port}: {reason}") from error
