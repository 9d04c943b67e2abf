"""`bucketzip doctor`: whether it will work here, before it has to. Nothing is written, but uploads that are aborted."""

import argparse
import asyncio
import sys

from bucketzip.commands import CommandError
from bucketzip.commands.aws import add_aws_options
from bucketzip.commands.doctor_report import Report
from bucketzip.commands.instance_metadata import Instance
from bucketzip.commands.settings import add_settings, read_settings
from bucketzip.commands.signals import Interrupted, interruptible
from bucketzip.doctor.checkup import Surroundings, checkup
from bucketzip.doctor.examine import examine
from bucketzip.doctor.looked import Looked
from bucketzip.doctor.policy import arns_of
from bucketzip.errors import BucketzipError
from bucketzip.examination import open_examination
from bucketzip.logs import configure
from bucketzip.plan.request import parse_url
from bucketzip.settings import Settings
from bucketzip.terminal import printable

LOG_LEVEL = "error"
FAILED = 1

_EXAMPLES = """examples:
  bucketzip doctor                                               this machine, the credentials, the way to S3
  bucketzip doctor s3://photos/2024/                             and whether that can be read, and how fast
  bucketzip doctor s3://photos --destination s3://archives/out/  and whether archives can be written there
  bucketzip doctor --destination s3://archives/out/ --json | jq .policy > policy.json

Where permissions are missing, the IAM policy that would mend it is printed at the end.
No object is ever written: writing is tried by multipart uploads that are aborted. Up to 64 MiB are read.

Exit status: 0 nothing will fail (there may be warnings), 1 something will, 2 wrong usage.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "doctor",
        description="Check whether it will work here: credentials, clock, permissions, keys, speed. Say what to do.",
        usage="bucketzip doctor [options] [SOURCE] [--destination URL]",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="s3://bucket/folder/ that is to be read")
    parser.add_argument("--destination", metavar="URL", help="s3://bucket/folder/ that archives are to be written into")
    parser.add_argument("--json", action="store_true", help="report for programs, on standard output")
    parser.add_argument("--quiet", action="store_true", help="only what is not well")
    add_settings(parser, ["state_dir"])
    add_aws_options(parser, run)


def run(options: argparse.Namespace) -> int:
    """Look at everything; returns the exit status."""
    settings = read_settings(options, log_level=LOG_LEVEL)
    configure(settings.log_format, settings.log_level)
    source, destination = _place(options.source), _place(options.destination)
    report = Report(sys.stdout, as_json=options.json, quiet=options.quiet)
    try:
        asyncio.run(interruptible(_look(settings, source, destination, report)))
    except Interrupted as stopped:
        return stopped.status
    except BucketzipError as error:
        raise CommandError(printable(str(error)), FAILED) from error
    report.end()
    return FAILED if report.failed else 0


def _place(url: str | None) -> tuple[str, str] | None:
    """Bucket and folder, or key."""
    if url is None:
        return None
    try:
        return parse_url(url)[:2]
    except ValueError as error:
        raise CommandError(str(error)) from error


async def _look(
    settings: Settings, source: tuple[str, str] | None, destination: tuple[str, str] | None, report: Report
) -> None:
    async with open_examination(settings) as examination:
        here = Surroundings(
            state_dir=settings.state_dir,
            s3_connections=settings.s3_connections,
            region=examination.region,
            who=examination.who,
            endpoint=examination.endpoint,
            instance=Instance(),
            reader=examination.reader,
        )
        arns = arns_of(examination.region)
        places = (
            Looked(examination.bucket(each[0]), each[1], arns) if each else None for each in (source, destination)
        )
        await examine(checkup(here, *places), report.tell)
