"""The command line: `bucketzip COMMAND`. What a command does is told in `commands/`."""

import argparse
import signal
import sys

from bucketzip.commands import (
    CommandError,
    attach_state,
    demo,
    doctor,
    firstboot,
    ls,
    serve,
    user,
    verify,
    version,
    work,
)
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
    ls.add(commands)
    verify.add(commands)
    doctor.add(commands)
    firstboot.add(commands)
    attach_state.add(commands)
    user.add(commands)
    demo.add(commands)
    version.add(commands)
    return parser
