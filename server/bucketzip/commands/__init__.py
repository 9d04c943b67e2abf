"""The subcommands, a module each: `add` describes it to argparse, and its parser's default `run` does it."""


class CommandError(Exception):
    """It cannot be done; the message is what the user is told. May have several lines."""
