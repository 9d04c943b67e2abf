"""`bucketzip zip`: one archive, here and now, into a bucket, a file or a pipe. No server is needed."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from bucketzip.commands import CommandError
from bucketzip.commands.aws import add_aws_options
from bucketzip.commands.settings import add_settings, read_settings
from bucketzip.commands.zip_to_bucket import zip_to_bucket
from bucketzip.commands.zip_to_disk import zip_to_file, zip_to_pipe
from bucketzip.jobs.ports import IfExists
from bucketzip.logs import configure
from bucketzip.plan.request import ArchiveRequest, ZipRequest
from bucketzip.terminal import StatusLine
from bucketzip.wording import mistake

SETTINGS = (
    "memory_bytes",
    "s3_connections",
    "s3_range_bytes",
    "scratch",
    "job_patience_seconds",
    "log_format",
    "log_level",
)
LOG_LEVEL = "warning"
_FOR_BUCKETS = ("storage_class", "sse", "kms_key", "acl", "tags", "metadata", "content_type")

_EXAMPLES = """examples:
  bucketzip zip s3://photos/2024/ s3://out/2024.zip          into a bucket: S3 copies large objects itself
  bucketzip zip s3://photos/2024/ 2024.zip                   into a file
  bucketzip zip s3://photos/2024/ - | ssh host 'cat > a.zip' into a pipe

  bucketzip zip s3://photos/2024/ s3://photos/cover.jpg a.zip --include '*.jpg' --exclude 'drafts/' --root 2024
  bucketzip zip s3://logs/2024* s3://out/logs.zip --if-exists rename --storage-class STANDARD_IA --tag team=ops
  bucketzip zip s3://logs/2024* s3://out/logs.zip --compression auto                 smaller, all through this host
  bucketzip zip s3://photos/2024/ s3://out/2024.zip --json | jq .result

Sources are s3://bucket, s3://bucket/folder/, s3://bucket/key or s3://bucket/prefix*. Globs hold for all of them; `**`
crosses folders.

Stopped by Ctrl-C, by a signal or by anything worse, the same command goes on where it stood. Into a file that works
with what is there as FILE.part, compressed or not, unless the objects, --compression or --level are others now: then it
says so and begins anew. --discard throws away what is there instead.

Exit status: 0 done, 1 failed, 2 wrong usage, 128 and its number for a signal (141 where the reader of a pipe left).

Every setting of `bucketzip serve` holds here too, as a variable (BUCKETZIP_S3_TRIES ...), and so do AWS's own.
"""

M = TypeVar("M", bound=BaseModel)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "zip",
        description="Make one archive here and now, without a server.",
        usage="bucketzip zip [options] SOURCE... DESTINATION",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="what goes into it: s3:// URLs")
    parser.add_argument("destination", metavar="DESTINATION", help="s3://bucket/key, a file, or - for standard output")
    _add_content_options(parser.add_argument_group("what goes into it"))
    _add_destination_options(parser.add_argument_group("what becomes of it"))
    settings = parser.add_argument_group("how it is done")
    settings.add_argument("--json", action="store_true", help="Tell the outcome to programs, on standard output.")
    settings.add_argument("--quiet", action="store_true", help="Say nothing of how far it is.")
    settings.add_argument(
        "--discard", action="store_true", help="Make nothing: throw away what an earlier run of this command left."
    )
    settings.add_argument(
        "--state-dir",
        metavar="DIR",
        help="Directory for what a stopped command needs to go on. [~/.local/state/bucketzip]",
    )
    add_settings(settings, SETTINGS, log_level=LOG_LEVEL)
    add_aws_options(parser, run)


def run(options: argparse.Namespace) -> int:
    """Make the archive; returns the exit status."""
    settings = read_settings(options, state_dir=_user_state(), log_level=LOG_LEVEL)
    line = StatusLine(sys.stderr, quiet=options.quiet)
    configure(settings.log_format, settings.log_level, line)
    if options.level is not None and options.compression in {None, "store"}:
        raise CommandError("--level: only with --compression deflate or auto")
    if options.json and options.discard:
        raise CommandError("--json and --discard: one of them")
    if "://" in options.destination:
        request = _request(ArchiveRequest, options, destination=options.destination, **_for_bucket(options))
        return zip_to_bucket(request, settings, line, for_programs=options.json, discard=options.discard)
    if refused := [_spelt(name) for name in _for_bucket(options) if name != "if_exists"]:
        raise CommandError(f"{', '.join(refused)}: only for an s3:// destination")
    content = _request(ZipRequest, options)
    if options.destination == "-":
        if options.json or options.discard or options.if_exists:
            raise CommandError("--json, --discard and --if-exists are not for a destination of -")
        if sys.stdout.isatty():
            raise CommandError("a ZIP archive is not for a terminal: name a file, or `| program`")
        return zip_to_pipe(content, sys.stdout.fileno(), settings, line)
    if options.if_exists == "rename":
        raise CommandError("--if-exists rename: only for an s3:// destination")
    path = _file(options.destination)
    replace = options.if_exists == "replace"
    return zip_to_file(
        content, path, settings, line, replace=replace, for_programs=options.json, discard=options.discard
    )


def _file(destination: str) -> Path:
    """Where the archive goes; raises CommandError."""
    path = Path(destination)
    if path.is_dir() or not path.name:
        raise CommandError(f"{destination} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise CommandError(f"{destination}: there is no folder {path.parent}, make it first")
    if path.exists() and not path.is_file():  # what is there would be replaced, by a file
        raise CommandError(f"{destination} is a device or a pipe: make the archive `-`, and send that there")
    return path


def _add_content_options(group: "argparse._ArgumentGroup") -> None:
    fields = ZipRequest.model_fields
    group.add_argument("--include", action="append", default=[], metavar="GLOB", help="Only what matches one is taken.")
    group.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="What matches one is left out.")
    group.add_argument("--root", metavar="NAME", help=fields["root"].description)
    group.add_argument("--flatten", action="store_true", default=None, help=fields["flatten"].description)
    group.add_argument("--on-missing", choices=["fail", "skip"], help=f"{fields['on_missing'].description} [fail]")


def _add_destination_options(group: "argparse._ArgumentGroup") -> None:
    fields = ArchiveRequest.model_fields
    group.add_argument(
        "--if-exists", choices=get_args(IfExists), help=f"{fields['if_exists'].description} Files: not that. [fail]"
    )
    group.add_argument(
        "--compression", choices=["store", "deflate", "auto"], help=f"{fields['compression'].description} [store]"
    )
    group.add_argument("--level", type=int, metavar="1..9", help=f"{fields['level'].description} [3]")
    for name, metavar in (("storage_class", "CLASS"), ("sse", "KIND"), ("kms_key", "KEY"), ("acl", "ACL")):
        group.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=fields[name].description)
    for name, destination in (("tag", "tags"), ("metadata", "metadata")):
        group.add_argument(
            f"--{name}",
            dest=destination,
            action="append",
            type=_pair,
            metavar="NAME=VALUE",
            help=f"{fields[destination].description} Give it several times.",
        )
    group.add_argument("--content-type", metavar="TYPE", help=f"{fields['content_type'].description} [application/zip]")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"is written NAME=VALUE, not {text!r}")
    return name, value


def _for_bucket(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of the object."""
    given = {name: getattr(options, name) for name in (*_FOR_BUCKETS, "if_exists")}
    return {name: _value(name, value) for name, value in given.items() if value is not None}


def _value(name: str, value: str | Sequence[tuple[str, str]]) -> str | dict[str, str]:
    if isinstance(value, str):
        return value
    pairs = dict(value)
    if len(pairs) < len(value):
        raise CommandError(f"{_spelt(name)}: the same name twice")
    return pairs


def _request(model: type[M], options: argparse.Namespace, **more: Any) -> M:
    """Raises CommandError with all that is wrong."""
    fields = {name: getattr(options, name) for name in ("root", "flatten", "on_missing", "compression", "level")}
    sources = [{"url": url, "include": options.include, "exclude": options.exclude} for url in options.sources]
    try:
        return model.model_validate(
            {"sources": sources, **{name: value for name, value in fields.items() if value is not None}, **more}
        )
    except ValidationError as error:
        raise CommandError("\n".join(_said(each["loc"], mistake(each["msg"])) for each in error.errors())) from error


def _said(location: tuple[int | str, ...], message: str) -> str:
    if location[:1] in {("destination",), ()} or location[2:] == ("url",):
        return message  # it says what it is about
    return f"{_spelt(str(location[2] if location[0] == 'sources' else location[0]))}: {message}"


def _spelt(name: str) -> str:
    """As the option is written."""
    return f"--{'tag' if name == 'tags' else name.replace('_', '-')}"


def _user_state() -> Path:
    """Of one user, by the XDG Base Directory Specification."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state") / "bucketzip"
