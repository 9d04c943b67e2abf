"""The command line: `bucketzip COMMAND`. What a command does is told in `commands/`."""

import argparse
import signal
import sys

from bucketzip import __version__
from bucketzip.commands import CommandError, attach_state, firstboot, serve, user, verify, work
from bucketzip.commands import zip as zip_objects


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except CommandError as error:
        print(f"bucketzip: {error}", file=sys.stderr)
        status = error.status
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    raise SystemExit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bucketzip",
        description="ZIP archives of objects in Amazon S3: streamed to clients, or written into a bucket.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve.add(commands)
    work.add(commands)
    zip_objects.add(commands)
    verify.add(commands)
    firstboot.add(commands)
    attach_state.add(commands)
    user.add(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    return parser


def _version(options: argparse.Namespace) -> int:
    print(f"bucketzip {__version__}")
    return 0
