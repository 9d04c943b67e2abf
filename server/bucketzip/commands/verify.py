"""`bucketzip verify`: whether a downloaded archive is, byte for byte, the one that the server announced."""

import argparse
import json
import shlex
import sys
from pathlib import Path

from bucketzip.commands import CommandError
from bucketzip.terminal import printable
from bucketzip.verify import CannotVerify
from bucketzip.verify.check import Checker
from bucketzip.verify.compressed import CompressedChecker
from bucketzip.verify.manifest_json import Listing
from bucketzip.verify.progress import Progress
from bucketzip.verify.report import Report
from bucketzip.verify.source import download_url, opened
from bucketzip.wording import entries

DIFFERS = 1

_MIB = 1 << 20

_EXAMPLES = """examples:
  bucketzip verify photos.zip --manifest https://zip.example.com/d/H3ste5PMEG53GkF9fXDhAg/photos.zip

  with a manifest that was saved, without the server:
  curl -O https://zip.example.com/d/H3ste5PMEG53GkF9fXDhAg/manifest.json
  bucketzip verify photos.zip --manifest manifest.json

  in a script:
  bucketzip verify photos.zip --manifest manifest.json --json | jq -r '.differences[].entry'

It reads the file once and compares every byte that is not content with what it should be, and of each content the
CRC-32. Exit status: 0 all is right, 1 the file differs, 2 it could not be checked.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "verify",
        description="Check a downloaded archive against what the server says of it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE.zip", help="the archive on this machine")
    parser.add_argument(
        "--manifest",
        required=True,
        metavar="URL",
        help="the download link, or its manifest.json: as a URL or as a saved file",
    )
    parser.add_argument("--json", action="store_true", help="report for programs, on standard output")
    parser.add_argument("--quiet", action="store_true", help="say nothing of how far it is")
    parser.add_argument("--show", type=_count, default=20, metavar="COUNT", help="differences to tell of [20]")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check the file, tell what was found; returns the exit status."""
    try:
        if options.file.is_dir():
            raise CannotVerify(f"{options.file}: Is a directory")  # noqa: TRY301  -- told like all others
        with opened(options.manifest) as file:
            listing = Listing(file)
            total_bytes = options.file.stat().st_size if listing.bytes is None else listing.bytes
            progress = Progress(total_bytes, sys.stderr, quiet=options.quiet)
            check = CompressedChecker if listing.compressed else Checker
            try:
                report = check(options.file, listing, show=options.show, progress=progress).run()
            finally:
                progress.clear()
    except (CannotVerify, OSError) as error:
        said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        if options.json:
            print(json.dumps({"file": str(options.file), "status": "unchecked", "detail": said}))
        raise CommandError(f"cannot verify: {said}") from error
    hint = _how_to_continue(options, listing, report)
    if options.json:
        print(json.dumps(_for_programs(options.file, report, progress.seconds)))
    else:
        print(_for_people(options.file, report, progress.seconds, hint))
    return DIFFERS if report.difference_count else 0


def _for_people(path: Path, report: Report, seconds: float, hint: str | None) -> str:
    if hint is not None:
        return hint
    announced = entries(report.announced_entries)
    if not report.difference_count:
        rate = report.file_bytes / _MIB / max(seconds, 1e-3)
        lines = [f"{path}: all right: {announced}, {report.file_bytes:,} bytes, in {seconds:.1f} s ({rate:,.0f} MiB/s)"]
    else:
        count = report.difference_count
        lines = [f"{path}: it is not the archive that was announced: {count:,} difference{'s' * (count != 1)}"]
        lines += [f"  {printable(str(each))}" for each in report.differences]
        if more := count - len(report.differences):
            lines.append(f"  and {more:,} more (--show {count})")
    if report.crcs_from_directory:
        lines.append(
            f"The server did not know the CRC-32 of {entries(report.crcs_from_directory)} yet; "
            "their content was compared with the archive's own directory."
        )
    return "\n".join(lines)


def _for_programs(path: Path, report: Report, seconds: float) -> dict[str, object]:
    return {
        "file": str(path),
        "status": "differs" if report.difference_count else "ok",
        "bytes": report.file_bytes,
        "announced_bytes": report.announced_bytes,
        "entries": report.announced_entries,
        "checked_entries": report.checked_entries,
        "crcs_from_directory": report.crcs_from_directory,
        "difference_count": report.difference_count,
        "differences": [each._asdict() for each in report.differences],
        "seconds": round(seconds, 3),
    }


def _how_to_continue(options: argparse.Namespace, listing: Listing, report: Report) -> str | None:
    """What to do about a file that is cut short."""
    if not report.missing_bytes:
        return None
    link = download_url(options.manifest, listing.filename)
    command = f"curl -C - -o {shlex.quote(str(options.file))} {shlex.quote(link) if link else 'LINK'}"
    return (
        f"{options.file}: the file has {report.file_bytes:,} of {report.announced_bytes:,} bytes: "
        f"continue the download with {command}"
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError
    return count
