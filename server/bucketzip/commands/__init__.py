"""The subcommands, a module each: `add` describes it to argparse, and its parser's default `run` does it."""

COMMANDS = {
    "serve": "serve download links and archives over HTTP",
    "work": "write archives into buckets, for servers that do not",
    "zip": "make one archive, into a bucket, a file or a pipe",
    "ls": "tell what an archive would hold, and how long it would be",
    "doctor": "check credentials, permissions and the way to S3, and say what to do",
    "verify": "check a downloaded archive against its manifest",
    "firstboot": "make this instance's own secrets, and sizes that fit it",
    "attach-state": "on EC2, as root: attach and mount the volume that holds the state",
    "user": "tell and change who may use the server",
    "demo": "try it here, with an S3 server of its own",
    "version": "print the version",
}
"""Each with what `bucketzip --help` says of it; its module has the same name."""

FAILED = 2
"""Exit status where a command could not do its work, as argparse has it for what it cannot read."""


class CommandError(Exception):
    """It cannot be done; the message is what the user is told. May have several lines. `status` is the exit status."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status
