"""Server processes of other people: started from their own virtual environments, ended with the test run."""

import contextlib
import http.client
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bucketzip.embedded import HOST, die_with_parent, end

READY_WITHIN_SECONDS = 150.0  # below the 180 s that a test has, so that the log is shown
POLL_SECONDS = 0.05
SHOWN_CHARACTERS = 4000
MAX_DATA_BYTES = 1 << 30  # of memory, a process: LocalStack takes 130 MiB, each of the four of Swift 40


class ServerFailed(RuntimeError):
    """A server is not installed or did not start."""


def installed(server: str) -> Path:
    """Return the virtual environment of a server, which `make` puts below our own."""
    home = Path(sys.prefix) / "servers" / server
    if not (home / "installed").exists():
        raise ServerFailed(f"{server} is not installed in {home}: run `make servers`")
    return home


def free_port() -> int:
    """Return a port that the system gives to nobody else for a minute, but to a server that binds it.

    A connection that was closed from this side leaves its port in TIME_WAIT. Servers set SO_REUSEADDR and may take it.
    """
    with socket.create_server((HOST, 0)) as listening:
        with socket.create_connection(listening.getsockname()) as client:
            accepted, _ = listening.accept()
            accepted.close()
            client.recv(1)
        return int(listening.getsockname()[1])


class Process:
    """A server process that has been started; `port` is where it will answer."""

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path, port: int) -> None:
        self._process = process
        self._log_file = log_file
        self._port = port

    def wait_until(self, health: str) -> None:
        """Return when GET `health` gives 200; raise ServerFailed with the end of the log if that never comes."""
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not self._healthy(health):
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                state = "did not become ready" if ended is None else f"ended with status {ended}"
                tail = self._log_file.read_text(errors="replace")[-SHOWN_CHARACTERS:]
                raise ServerFailed(f"{self._process.args!r} {state}; the end of its log:\n{tail}")
            time.sleep(POLL_SECONDS)

    def _healthy(self, path: str) -> bool:
        with contextlib.closing(http.client.HTTPConnection(HOST, self._port, timeout=5)) as connection:
            try:
                connection.request("GET", path)
                return connection.getresponse().status == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                return False


@contextmanager
def started(
    program: Path, *arguments: str, home: Path, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run a server in the directory `home`, where it leaves its log, until the block ends."""
    log_file = home / f"{program.name}-{port}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [program, *arguments],
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), **(environment or {})},
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the test run, which ends the server itself
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - prctl is one system call, safe between fork and exec
        )
    try:
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (MAX_DATA_BYTES, MAX_DATA_BYTES))
        yield Process(process, log_file, port)
    finally:
        end(process)  # at once: what it holds is of no use to anybody
