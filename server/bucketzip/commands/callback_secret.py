"""`bucketzip callback-secret`: what the callbacks of a user are signed with."""

import argparse
from pathlib import Path

from bucketzip.commands import CommandError
from bucketzip.commands.settings import add_settings, read_settings, working_in
from bucketzip.notify.signature import callback_secret
from bucketzip.state.instance_key import FILE_NAME, load_instance_key


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "callback-secret",
        help="print the secret that a user's callbacks are signed with",
        description="Print the secret that a user's callbacks are signed with. It is always the same.",
    )
    parser.add_argument("user", metavar="KEY", help="the user's key; `trusted` for who needs none")
    add_settings(parser, ["state_dir"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print it; returns the exit status."""
    settings = read_settings(options)
    path: Path = settings.state_dir / FILE_NAME
    if not path.exists():
        raise CommandError(f"there is no {path}: start `bucketzip serve` first, or name its --state-dir")
    with working_in(settings, verb="read the key"):
        print(callback_secret(load_instance_key(settings.state_dir), options.user))
    return 0
