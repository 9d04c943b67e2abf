"""The command line: `bucketzip COMMAND`. What a command does is told in `commands/`."""

import argparse
import signal
import sys
from importlib import import_module

from bucketzip.commands import COMMANDS, CommandError


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    options = _parser(chosen).parse_args(arguments)
    try:
        status: int = options.run(options)
    except CommandError as error:
        print(f"bucketzip: {error}", file=sys.stderr)
        status = error.status
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    raise SystemExit(status)


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """Only the chosen command is imported: all of them together take a second of CPU time."""
    parser = argparse.ArgumentParser(
        prog="bucketzip",
        description="ZIP archives of objects in Amazon S3: streamed to clients, or written into a bucket.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        if name == chosen:
            import_module(f"bucketzip.commands.{name.replace('-', '_')}").add(commands)
        else:
            commands.add_parser(name, help=text)
    return parser
