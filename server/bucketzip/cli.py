"""The command line: `bucketzip COMMAND`. What a command does is told in `commands/`."""

import argparse
import os
import signal
import sys
from importlib import import_module

from bucketzip.commands import COMMANDS, CommandError

_FIRST_STEPS = """first steps:
  bucketzip demo                              all of it on this machine, without an AWS account
  bucketzip doctor s3://photos                whether it will work here
  bucketzip ls s3://photos/2024/              what an archive would hold
  bucketzip zip s3://photos/2024/ 2024.zip    the archive
  bucketzip serve                             download links by HTTP

`bucketzip COMMAND --help` has examples and every option. Exit status: 0 done, 1 not, 2 wrong usage, 128 and its number
for a signal.
"""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        arguments = ["version"]
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    options = _parser(chosen).parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except CommandError as error:
        print(f"bucketzip: {error}", file=sys.stderr)
        status = error.status
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except BrokenPipeError:  # as of `| head`
        status = 128 + signal.SIGPIPE
    except OSError as error:  # as of `> /dev/full`
        said = f"{error.filename}: {error.strerror}" if error.filename else error
        print(f"bucketzip: {said}", file=sys.stderr)
        status = 1
    _let_go_of_output()
    raise SystemExit(status)


def _let_go_of_output() -> None:
    """What could not be written is not tried again: the interpreter does at its end, and has much to say of it."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """Only the chosen command is imported: all of them together take a second of CPU time."""
    parser = argparse.ArgumentParser(
        prog="bucketzip",
        description="ZIP archives of objects in Amazon S3: streamed to clients, or written into a bucket.",
        epilog=_FIRST_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="the same as `bucketzip version`")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        if name == chosen:
            import_module(f"bucketzip.commands.{name.replace('-', '_')}").add(commands)
        else:
            commands.add_parser(name, help=text)
    return parser
