"""The lines of `bucketzip ls`: for people, and for programs."""

import argparse
import json
import sys
import time
from typing import Protocol

from bucketzip.plan.browsing import Bucket
from bucketzip.plan.catalog import Listed
from bucketzip.plan.preview import Entry, Totals
from bucketzip.terminal import printable
from bucketzip.wording import entries

SKIP = "`bucketzip zip` refuses that; with --on-missing skip it makes what is listed here"


class Lines(Protocol):
    """Where what was found goes."""

    def bucket(self, found: Bucket) -> None: ...

    def entry(self, entry: Entry) -> None: ...

    def left_out(self, bucket: str, listed: Listed, why: str) -> None:
        """A glob leaves it out."""

    def end(self, totals: Totals) -> None:
        """There is no more."""


class _LeftOut:
    """What globs left out, counted."""

    def __init__(self) -> None:
        self.objects = 0
        self.bytes = 0

    def count(self, listed: Listed) -> None:
        self.objects += 1
        self.bytes += listed.size


class TextLines:
    """A line an entry: size, time, name. Keys may hold what would move a terminal's cursor; here they do not."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._skips = options.on_missing == "skip"
        self._summary = options.summary
        self._names_excluded = options.excluded
        self._quiet = options.quiet and not options.summary
        self._totals_to = sys.stdout if options.summary else sys.stderr
        self._left_out = _LeftOut()

    def bucket(self, found: Bucket) -> None:
        made = "" if found.created_at is None else _time("%Y-%m-%d %H:%M:%S", found.created_at)
        sys.stdout.write(f"{made:19}  {printable(found.name)}\n")

    def entry(self, entry: Entry) -> None:
        if not self._summary:
            made = _time("%Y-%m-%d %H:%M:%S", entry.mtime)
            sys.stdout.write(f"{entry.size:>17,}  {made}  {printable(entry.name)}\n")

    def left_out(self, bucket: str, listed: Listed, why: str) -> None:
        self._left_out.count(listed)
        if self._names_excluded:
            sys.stderr.write(f"excluded: {printable(f's3://{bucket}/{listed.key}')}: {why}\n")

    def end(self, totals: Totals) -> None:
        sys.stdout.flush()  # before what follows on the same terminal
        for url, error in totals.missing:
            sys.stderr.write(f"missing: {printable(url)}: {printable(str(error))}\n")
        if totals.missing and not self._skips:
            sys.stderr.write(f"{len(totals.missing):,} missing: {SKIP}\n")
        if self._quiet:
            return
        if self._left_out.objects:
            sys.stderr.write(f"{self._left_out.objects:,} left out by globs, {self._left_out.bytes:,} bytes\n")
        told = (
            f"{entries(totals.entries)}, {totals.content_bytes:,} bytes; as an archive {totals.archive_bytes:,} bytes"
        )
        if totals.archive_bytes_in_bucket != totals.archive_bytes:
            told += f", or {totals.archive_bytes_in_bucket:,} where checksums are computed first: in a bucket, or by S3"
        self._totals_to.write(f"{told}\n")


class JsonLines:
    """An object a line."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._summary = options.summary
        self._names_excluded = options.excluded
        self._left_out = _LeftOut()

    def bucket(self, found: Bucket) -> None:
        created = None if found.created_at is None else _time("%Y-%m-%dT%H:%M:%SZ", found.created_at)
        _write({"type": "bucket", "name": found.name, "created_at": created})

    def entry(self, entry: Entry) -> None:
        if self._summary:
            return
        source = entry.source
        _write(
            {
                "type": "entry",
                "name": entry.name,
                "bytes": entry.size,
                "modified": _time("%Y-%m-%dT%H:%M:%SZ", entry.mtime),
                "source": f"s3://{source.bucket}/{source.key}" if source else None,
                "version_id": source.version_id or None if source else None,
            }
        )

    def left_out(self, bucket: str, listed: Listed, why: str) -> None:
        self._left_out.count(listed)
        if self._names_excluded:
            _write({"type": "excluded", "source": f"s3://{bucket}/{listed.key}", "bytes": listed.size, "reason": why})

    def end(self, totals: Totals) -> None:
        for url, error in totals.missing:
            _write({"type": "missing", "source": url, "error": error.code, "detail": str(error)})
        _write(
            {
                "type": "total",
                "entries": totals.entries,
                "content_bytes": totals.content_bytes,
                "archive_bytes": totals.archive_bytes,
                "archive_bytes_in_bucket": totals.archive_bytes_in_bucket,
                "missing": len(totals.missing),
                "excluded": self._left_out.objects,
                "excluded_bytes": self._left_out.bytes,
            }
        )


def _write(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def _time(form: str, seconds: int) -> str:
    return time.strftime(form, time.gmtime(seconds))
