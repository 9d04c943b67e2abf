"""Checks of this machine: where the state lies, and how many connections it may have."""

import asyncio
import os
import pwd
import resource
import shutil
from pathlib import Path

from bucketzip.doctor.finding import Check, Finding, failed, ok, warning

LEAST_FREE_BYTES = 1 << 30
CONNECTIONS_BESIDE = 96
"""Of a server with hardly a client: listings, uploads, SQLite, logs."""
FILES_WISHED = 1024
GIB = 1 << 30


def machine_checks(state_dir: Path, s3_connections: int) -> list[Check]:
    """All of them."""
    return [
        Check("state-dir", lambda: asyncio.to_thread(state_dir_finding, state_dir)),
        Check("open-files", lambda: _open_files(s3_connections)),
    ]


def state_dir_finding(directory: Path) -> Finding:
    """Blocks for a moment; changes nothing."""
    place = directory.absolute()
    there = next(each for each in (place, *place.parents) if each.exists())
    status = there.stat()
    owner = _name(status.st_uid)
    free = shutil.disk_usage(there).free
    facts = {"path": str(place), "owner": owner, "free_bytes": free}
    if not there.is_dir():
        return failed(f"{there} is no directory", "name another one with --state-dir", **facts)
    if not os.access(there, os.W_OK | os.X_OK):
        me = _name(os.geteuid())
        return failed(
            f"{there} belongs to {owner}, and {me} may not write to it",
            f"run it as {owner}, or name another directory with --state-dir",
            **facts,
        )
    where = f"{place}, {free / GIB:,.1f} GiB free"
    if there == place and status.st_uid != os.geteuid():
        where += f", belongs to {owner}"
    if there != place:
        where += ", not made yet"
    if free < LEAST_FREE_BYTES:
        return warning(where, "plans take about 200 bytes an entry: give it 1 GiB", **facts)
    return ok(where, **facts)


async def _open_files(s3_connections: int) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ok("as many open files as the system has")
    said, todo = f"{soft:,} open files a process", "raise it: `ulimit -n 65536`, or LimitNOFILE= of the unit"
    if soft < s3_connections + CONNECTIONS_BESIDE:
        return failed(f"{said}; {s3_connections} connections to S3 and those of clients need more", todo, files=soft)
    if soft < FILES_WISHED:
        return warning(said, todo, files=soft)
    return ok(said, files=soft)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
