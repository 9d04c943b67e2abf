"""`bucketzip ls`: what an archive would hold, and how long it would be. Only reads."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import ValidationError

from bucketzip.commands import CommandError
from bucketzip.commands.aws import add_aws_options
from bucketzip.commands.ls_lines import JsonLines, Lines, TextLines
from bucketzip.commands.settings import add_settings, read_settings
from bucketzip.commands.signals import Interrupted, interruptible
from bucketzip.errors import BucketzipError
from bucketzip.logs import configure
from bucketzip.plan.preview import preview
from bucketzip.plan.request import ZipRequest
from bucketzip.s3.browsing import S3Browser
from bucketzip.s3.client import S3, open_s3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.listing import S3Catalog
from bucketzip.s3.versions import Versions
from bucketzip.settings import Settings
from bucketzip.terminal import printable
from bucketzip.wording import mistake

FAILED = 1
LOG_LEVEL = "warning"
CONNECTIONS = 64

_EXAMPLES = """examples:
  bucketzip ls                                      the buckets
  bucketzip ls s3://photos/2024/                    names in the archive, sizes, and how long it would be
  bucketzip ls s3://photos/2024/ --summary          how long it would be, and nothing else
  bucketzip ls s3://photos/2024/ s3://photos/cover.jpg --include '*.jpg' --exclude 'drafts/' --excluded
  bucketzip ls s3://photos/2024/ --json | jq -r 'select(.type == "entry") | .source'

Sources and globs are those of `bucketzip zip`. Names, sizes and times are on standard output; what is missing, what
globs left out and the totals are on standard error. With --json all of it is on standard output, a line each; `type`
is entry, excluded, missing and, at the end, total (or bucket).

Exit status: 0 it can be zipped, 1 something is missing or S3 refuses, 2 wrong usage.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "ls",
        description="Tell what an archive would hold, without making it; without a source, the buckets.",
        usage="bucketzip ls [options] [SOURCE...]",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="what would go into it: s3:// URLs")
    fields = ZipRequest.model_fields
    content = parser.add_argument_group("what would go into it")
    content.add_argument("--include", action="append", default=[], metavar="GLOB", help="Only what matches one.")
    content.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="Not what matches one.")
    content.add_argument("--root", metavar="NAME", help=fields["root"].description)
    content.add_argument("--flatten", action="store_true", help=fields["flatten"].description)
    content.add_argument(
        "--on-missing", choices=["fail", "skip"], default="fail", help=f"{fields['on_missing'].description} [fail]"
    )
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--summary", action="store_true", help="Only the totals, on standard output.")
    shown.add_argument("--excluded", action="store_true", help="Name each object that a glob leaves out, and why.")
    shown.add_argument("--json", action="store_true", help="Lines of JSON, for programs.")
    shown.add_argument("--quiet", action="store_true", help="Nothing on standard error but what is missing.")
    add_settings(shown, ["log_level"], log_level=LOG_LEVEL)
    add_aws_options(parser, run)


def run(options: argparse.Namespace) -> int:
    """Tell it; returns the exit status."""
    settings = read_settings(options, log_level=LOG_LEVEL)
    configure(settings.log_format, settings.log_level)
    lines: Lines = JsonLines(options) if options.json else TextLines(options)
    request = _request(options)
    try:
        return asyncio.run(interruptible(_told(request, settings, lines)))
    except Interrupted as stopped:
        return stopped.status
    except BucketzipError as error:
        raise CommandError(printable(str(error)), FAILED) from error


def _request(options: argparse.Namespace) -> ZipRequest | None:
    """What was asked for; None for the buckets."""
    if not options.sources:
        if options.include or options.exclude:
            raise CommandError("--include and --exclude are for a source: s3://bucket/folder/")
        return None
    sources = [{"url": url, "include": options.include, "exclude": options.exclude} for url in options.sources]
    fields = {name: getattr(options, name) for name in ("root", "flatten", "on_missing")}
    try:
        return ZipRequest.model_validate(
            {"sources": sources, **{name: value for name, value in fields.items() if value is not None}}
        )
    except ValidationError as error:
        said = dict.fromkeys(mistake(each["msg"]) for each in error.errors())
        raise CommandError("\n".join(said)) from error


async def _told(request: ZipRequest | None, settings: Settings, lines: Lines) -> int:
    async with _s3() as s3:
        if request is None:
            for bucket in await S3Browser(s3).buckets():
                lines.bucket(bucket)
            return 0
        catalog = S3Catalog(s3, s3.keeper, Versions(s3, wanted=settings.pin_versions))
        totals = await preview(request, catalog, lines.entry, lines.left_out, most_entries=settings.most_entries)
        lines.end(totals)
        return FAILED if totals.missing and request.on_missing == "fail" else 0


@asynccontextmanager
async def _s3() -> AsyncIterator[S3]:
    async with CredentialKeeper().running() as keeper:
        keeper.current()  # raises why there are none
        async with open_s3(keeper, max_connections=CONNECTIONS) as s3:
            yield s3
