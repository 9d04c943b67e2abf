"""The client: curl, a process of its own beside the origin, so that no byte it handles is charged to the contender."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cores import SURROUNDINGS, pinned
from bench.processes import UnavailableError, clean_environment

_WRITE_OUT = "%{http_code} %{size_download} %{time_total} %{time_starttransfer} %header{content-length}\\n"
_OK = 200


@dataclass(frozen=True, slots=True)
class Fetch:
    """What curl reports; seconds are from its connect on, its own start not included."""

    exit_status: int
    http_status: int
    size_bytes: int
    seconds: float
    first_byte_seconds: float
    #: The sum of Content-Length, None where a response had none.
    announced_bytes: int | None


@dataclass(slots=True)
class Curl:
    """One running curl."""

    process: subprocess.Popen[bytes]
    #: User and system time, known when it ended.
    cpu_seconds: float = 0.0

    def running(self) -> bool:
        """Look without waiting."""
        if self.process.returncode is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self._ended(status, usage.ru_utime + usage.ru_stime)
        return self.process.returncode is None

    def wait(self) -> Fetch:
        """Until it ends, which its own time limit sees to. Several URLs are added up."""
        if self.process.returncode is None:
            _, status, usage = os.wait4(self.process.pid, 0)
            self._ended(status, usage.ru_utime + usage.ru_stime)
        report, _ = self.process.communicate()  # a line for each URL, far less than a pipe holds
        lines = [line.split() for line in report.decode().splitlines()]
        if not lines:
            return Fetch(self.process.returncode, 0, 0, 0.0, 0.0, None)
        return Fetch(
            exit_status=self.process.returncode,
            http_status=max(int(line[0]) for line in lines),
            size_bytes=sum(int(line[1]) for line in lines),
            seconds=sum(float(line[2]) for line in lines),
            first_byte_seconds=float(lines[0][3]),
            announced_bytes=sum(int(line[4]) for line in lines) if all(len(line) > 4 for line in lines) else None,
        )

    def stop(self) -> None:
        """For a finally: does nothing to one that has ended."""
        if self.running():
            self.process.kill()
            self.wait()

    def _ended(self, status: int, cpu_seconds: float) -> None:
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = cpu_seconds


def start(
    urls: Sequence[str], *, limit_seconds: float, output: Path | None = None, bytes_per_second: int | None = None
) -> Curl:
    """Start curl on the URLs, one after the other over one connection; the body goes to `output` or nowhere."""
    command = ["curl", "-s", "--noproxy", "*", "--max-time", f"{limit_seconds:.0f}", "-w", _WRITE_OUT]
    if bytes_per_second is not None:
        command += ["--limit-rate", str(bytes_per_second)]
    for url in urls:
        command += ["-o", str(output) if output else os.devnull, url]
    try:
        with pinned(SURROUNDINGS):
            process = subprocess.Popen(
                command,
                env=clean_environment({}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
    except FileNotFoundError as error:
        raise UnavailableError("curl is not installed") from error
    return Curl(process)


def problem(fetch: Fetch, *, least_bytes: int, usual_bytes: int | None) -> str | None:
    """What is wrong with a download that should have been whole.

    The length it announced counts, or else that of a verified one before; and no archive is smaller than its content.
    An announced length may differ between downloads: a CRC that has been learnt spares its entry the data descriptor.
    """
    expected = usual_bytes if fetch.announced_bytes is None else fetch.announced_bytes
    if fetch.http_status != _OK:
        return f"HTTP status {fetch.http_status}, curl's status {fetch.exit_status}"
    if fetch.exit_status != 0:
        return f"curl ended with status {fetch.exit_status} after {fetch.size_bytes:,} bytes"
    if fetch.size_bytes < least_bytes or (expected is not None and fetch.size_bytes != expected):
        return f"{fetch.size_bytes:,} bytes instead of {expected or least_bytes:,}"
    return None
