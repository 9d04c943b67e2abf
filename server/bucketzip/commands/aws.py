"""Options that say to which S3 a command goes, and as whom: AWS's own variables, for one run."""

import argparse
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Run = Callable[[argparse.Namespace], int]

_VARIABLES = {
    "endpoint": ("AWS_ENDPOINT_URL_S3",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "profile": ("AWS_PROFILE",),
}
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""They would win over a profile that is in the environment; one that is asked for wins over them."""


def add_aws_options(parser: argparse.ArgumentParser, run: Run) -> None:
    """Add them, and let the command be run by them."""
    group = parser.add_argument_group("which S3, and as whom")
    group.add_argument(
        "--endpoint", type=_url, metavar="URL", help="Another S3 than AWS. [AWS_ENDPOINT_URL_S3, or AWS]"
    )
    group.add_argument(
        "--region", metavar="REGION", help="Of what no bucket tells. [AWS_REGION, the profile's, the instance's]"
    )
    group.add_argument(
        "--profile",
        metavar="NAME",
        help="Of ~/.aws/config: its credentials and region. [AWS_PROFILE, or AWS's usual chain]",
    )

    def run_there(options: argparse.Namespace) -> int:
        with _told(options):
            return run(options)

    parser.set_defaults(run=run_there)


@contextmanager
def _told(options: argparse.Namespace) -> Iterator[None]:
    """The environment as the options have it."""
    before = dict(os.environ)
    try:
        for option, names in _VARIABLES.items():
            if value := getattr(options, option):
                os.environ.update(dict.fromkeys(names, value))
        if options.profile:
            for name in _KEYS:
                os.environ.pop(name, None)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/?#@\s]+/?", text):
        raise argparse.ArgumentTypeError(f"is written https://s3.example.com, not {text!r}")
    return text
