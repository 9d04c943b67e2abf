"""`bucketzip version`: which release this is, and what it runs on."""

import argparse
import json
import platform
from importlib.metadata import version

from bucketzip import __version__

_EXAMPLES = """examples:
  bucketzip version
  bucketzip version --json | jq -r .version
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "version",
        description="Print the version.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="also of Python and isal, and the platform, as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print it; returns the exit status."""
    if options.json:
        told = {"version": __version__, "python": platform.python_version(), "isal": version("isal")}
        print(json.dumps({**told, "platform": platform.platform()}))
    else:
        print(f"bucketzip {__version__}")
    return 0
