"""Starting children on a chosen core, waiting until they answer, and stopping each by its id."""

import http.client
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.cores import pinned
from bench.meter import process_tree

REPOSITORY = Path(__file__).resolve().parents[1]
_START_SECONDS = 30
_STOP_SECONDS = 10
_LOG_TAIL_CHARACTERS = 300


class UnavailableError(Exception):
    """This contender or origin cannot run here; the text goes into its row of the table."""


def free_port() -> int:
    """A loopback port that was free a moment ago. Below the kernel's own range, so that no client socket takes it."""
    first = 20000 + os.getpid() % 5000
    for port in range(first, first + 5000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise UnavailableError("no free port on loopback")


_given: set[int] = set()


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours without anything that would lead an S3 client elsewhere, plus `extra`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "BUCKETZIP_")) and not name.lower().endswith("_proxy")
    }
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(extra)


def log_tail(log: Path) -> str:
    text = " ".join(log.read_text(errors="replace").split())
    return text[-_LOG_TAIL_CHARACTERS:] or "it printed nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, a grace, SIGKILL; then whatever its children left behind, each by its id."""
    tree = process_tree(process.pid)
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for member in tree[1:]:
        with suppress(ProcessLookupError):
            os.kill(member, 9)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    cores: frozenset[int],
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path = REPOSITORY,
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a child on `cores`, its output in `log`, stopped at the end whatever happens."""
    with log.open("wb") as output, pinned(cores):
        try:
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=directory,
                env=clean_environment(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise UnavailableError(f"did not start: {error.strerror}: {command[0]}") from error
    try:
        yield process
    finally:
        _stop(process)


def _answers(url: str) -> bool:
    """Whether the URL answers 200."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as response:
            return bool(response.status == http.HTTPStatus.OK)
    except (urllib.error.URLError, OSError, http.client.HTTPException):
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path, path: str | None = None) -> None:
    """Until the port listens, or `path` on it answers 200; UnavailableError with the end of its log otherwise."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(f"http://127.0.0.1:{port}{path}") if path else _listens(port):
            return
        time.sleep(0.05)
    how = f"ended with status {process.returncode}" if process.returncode is not None else "is not ready"
    raise UnavailableError(f"did not start: {how}: {log_tail(log)}")
