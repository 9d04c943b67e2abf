"""The command line: `bucketzip serve` and `bucketzip version`. Every setting is an option of `serve`."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import NoReturn, get_args

from aiohttp import web
from pydantic import ValidationError

from bucketzip import __version__
from bucketzip.app import build_app
from bucketzip.errors import BucketzipError
from bucketzip.logs import configure
from bucketzip.settings import PREFIX, Settings, misspelt
from bucketzip.web.middleware import AccessLogger, unexpected

_log = logging.getLogger(__name__)

_SERVE_EXAMPLES = """examples:
  bucketzip serve                                     with the instance's role, on 127.0.0.1:8080
  bucketzip serve --host 0.0.0.0 --port 80 --state-dir /var/lib/bucketzip
  AWS_ENDPOINT_URL_S3=http://127.0.0.1:9000 bucketzip serve

then:
  curl -d '{"sources": ["s3://bucket/folder/"]}' http://127.0.0.1:8080/downloads

Each option is also a variable: --state-dir is BUCKETZIP_STATE_DIR. AWS's own variables (AWS_REGION, AWS_PROFILE,
AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, AWS_CA_BUNDLE ...) work as everywhere.
"""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    if options.command == "version":
        print(f"bucketzip {__version__}")
        return
    settings = _settings(options)
    configure(settings.log_format, settings.log_level)
    try:
        _check_directory(settings.state_dir)
        asyncio.run(_serve(settings))
    except BucketzipError as error:
        _fail(str(error))
    except (OSError, sqlite3.Error) as error:
        where = f" in {settings.state_dir}" if isinstance(error, sqlite3.Error) else ""
        _fail(f"cannot start: {error}{where}")
    except KeyboardInterrupt:  # before it listened
        raise SystemExit(128 + signal.SIGINT) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bucketzip", description="ZIP archives of objects in Amazon S3, streamed without touching a disk."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve download links over HTTP",
        description="Serve download links over HTTP.",
        epilog=_SERVE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, field in Settings.model_fields.items():
        default = "" if field.default in ("", None) else f" [{field.default}]"
        choices = "|".join(map(str, get_args(field.annotation)))
        serve.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=choices or name.rpartition("_")[2].upper(),
            help=f"{field.description}{default}",
        )
    commands.add_parser("version", help="print the version")
    return parser


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
        _fail("\n".join(mistakes))
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


def _fail(message: str) -> NoReturn:
    print(f"bucketzip: {message}", file=sys.stderr)
    raise SystemExit(2)


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
