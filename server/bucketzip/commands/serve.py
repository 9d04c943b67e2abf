"""`bucketzip serve`: the HTTP server. Every setting is an option."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sqlite3
import tempfile
from pathlib import Path
from typing import get_args

from aiohttp import web
from pydantic import ValidationError

from bucketzip.app import build_app
from bucketzip.commands import CommandError
from bucketzip.errors import BucketzipError
from bucketzip.logs import configure
from bucketzip.settings import PREFIX, Settings, misspelt
from bucketzip.web.middleware import AccessLogger, unexpected

_log = logging.getLogger(__name__)

_EXAMPLES = """examples:
  bucketzip serve                                     with the instance's role, on 127.0.0.1:8080
  bucketzip serve --host 0.0.0.0 --port 80 --state-dir /var/lib/bucketzip
  AWS_ENDPOINT_URL_S3=http://127.0.0.1:9000 bucketzip serve

then:
  curl -d '{"sources": ["s3://bucket/folder/"]}' http://127.0.0.1:8080/downloads

Each option is also a variable: --state-dir is BUCKETZIP_STATE_DIR. AWS's own variables (AWS_REGION, AWS_PROFILE,
AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, AWS_CA_BUNDLE ...) work as everywhere.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "serve",
        help="serve download links over HTTP",
        description="Serve download links over HTTP.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, field in Settings.model_fields.items():
        default = "" if field.default in ("", None) else f" [{field.default}]"
        choices = "|".join(map(str, get_args(field.annotation)))
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=choices or name.rpartition("_")[2].upper(),
            help=f"{field.description}{default}",
        )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit status."""
    settings = _settings(options)
    configure(settings.log_format, settings.log_level)
    try:
        _check_directory(settings.state_dir)
        asyncio.run(_serve(settings))
    except BucketzipError as error:
        raise CommandError(str(error)) from error
    except (OSError, sqlite3.Error) as error:
        where = f" in {settings.state_dir}" if isinstance(error, sqlite3.Error) else ""
        raise CommandError(f"cannot start: {error}{where}") from error
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    """From the options, else the environment; all mistakes at once."""
    mistakes = [f"{name}: no such setting (see `bucketzip serve --help`)" for name in misspelt()]
    given = {
        name: value for name, value in vars(options).items() if name in Settings.model_fields and value is not None
    }
    settings = None
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for each in error.errors():
            reason = each["msg"].removeprefix("Value error, ")
            mistakes.append(f"{PREFIX}{str(each['loc'][0]).upper()}: {reason}, not {each['input']!r}")
    if settings is None or mistakes:
        raise CommandError("\n".join(mistakes))
    return settings


def _check_directory(directory: Path) -> None:
    """Make it if need be; raises OSError, which says more than what SQLite would."""
    try:
        if not directory.exists():
            directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise OSError(f"the state directory {directory} cannot be written to: {error.strerror}") from error


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
        keepalive_timeout=60.0,
    )
    await runner.setup()
    try:
        await _listen(runner, settings.host, settings.port)
        await _signalled()
        _log.info("draining: running downloads may go on for %g s, or until a second signal", settings.drain_seconds)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise OSError(f"cannot listen on {host}:{port}: {reason}") from error
    for address, number, *_ in runner.addresses:
        name = f"[{address}]" if ":" in address else address
        _log.info("listening on http://%s:%s", name, number, extra={"pid": os.getpid()})


async def _signalled() -> None:
    """Wait for SIGTERM or SIGINT. From then on either ends the process as it stands; its state can take that."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, told.set)
    await told.wait()
    for number in signals:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
