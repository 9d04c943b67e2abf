"""The subcommands, a module each: `add` describes it to argparse, and its parser's default `run` does it."""

FAILED = 2
"""Exit status where a command could not do its work, as argparse has it for what it cannot read."""


class CommandError(Exception):
    """It cannot be done; the message is what the user is told. May have several lines. `status` is the exit status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status
