"""Those who write an archive of a bucket's objects into the bucket, each from a new process on."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import rclone
from bench.contenders.base import Link
from bench.cores import CONTENDER
from bench.counters import counters
from bench.datasets import BUCKET, Dataset
from bench.environments import environment
from bench.meter import cpu_seconds, peak_memory_bytes
from bench.origins.base import Origin
from bench.processes import REPOSITORY, UnavailableError, free_port, log_tail, running, wait_until_ready

#: An archive that takes longer is given up.
LIMIT_SECONDS = 600
_ANSWER_SECONDS = 30
#: How late it may be seen that a job is over; to look costs the contender a millisecond.
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Task:
    """Zip a dataset of the origin into a key of the same bucket."""

    origin: Origin
    dataset: Dataset
    key: str
    #: A new directory for this run, and one that outlives it.
    run: Path
    work: Path


@dataclass(frozen=True, slots=True)
class Made:
    """What an archive took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    requests: int
    #: Of the archive; None where all of it did.
    through_host_bytes: int | None = None


Archiver = Callable[[Task], Made]


def bucketzip(task: Task) -> Made:
    """`bucketzip serve` with default settings, one `POST /archives`, and its job looked at until it is over."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "bucketzip", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--state-dir", str(task.run / "state"), "--trusted-cidrs", "127.0.0.0/8"]
    log = task.run / "log"
    wanted = {
        "sources": [f"s3://{BUCKET}/{task.dataset.prefix}"],
        "destination": f"s3://{BUCKET}/{task.key}",
    }
    with running(command, cores=CONTENDER, log=log, environment=task.origin.environment()) as process:
        wait_until_ready(process, port, log, "/healthz")
        counted, cpu_before = counters(Link((base,))), cpu_seconds(process.pid)
        began = time.perf_counter()
        job = _ask(f"{base}/archives", json.dumps(wanted).encode())
        while job["finished_at"] is None and time.perf_counter() - began < LIMIT_SECONDS:
            time.sleep(_LOOK_SECONDS)
            job = _ask(f"{base}/archives/{job['id']}")
        seconds, used = time.perf_counter() - began, cpu_seconds(process.pid) - cpu_before
        if job["state"] != "succeeded":
            raise UnavailableError(f"the job is {job['state']}: {job['error'] or job['notes']}")
        counted = counters(Link((base,))) - counted
        requests = map(counted.total, ("bucketzip_s3_api_requests_total", "bucketzip_s3_range_gets_total"))
        peak_bytes = peak_memory_bytes(process.pid)
        return Made(seconds, used, peak_bytes, sum(requests), int(job["result"]["built_bytes"]))


def boto3_upload(task: Task) -> Made:
    """The script of bench/peers."""
    return _script(task, sys.executable, "bench.peers.boto3_upload", task.key)


def _install_s3_simple_compress(work: Path) -> Path:
    lock = REPOSITORY / "tests" / "servers" / "s3-simple-compress.lock"
    return environment(work / "s3-simple-compress", "s3-simple-compress", "--no-deps", "--require-hashes", "-r", lock)


def s3_simple_compress(task: Task) -> Made:
    """PyPI's class of the same name as ours, in the environment that tests compare the two in."""
    programs = _install_s3_simple_compress(task.work)
    zip_name = task.key.removeprefix("archives/").removesuffix(".zip")
    return _script(task, programs / "python", "bench.peers.s3_simple_compress", zip_name)


def _script(task: Task, python: str | Path, module: str, destination: str) -> Made:
    """A script that tells itself what it took."""
    command = [python, "-m", module, BUCKET, task.dataset.prefix, destination]
    log = task.run / "log"
    with running(command, cores=CONTENDER, log=log, environment=task.origin.environment()) as process:
        try:
            status = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"took over {LIMIT_SECONDS} s") from error
    if status:
        raise UnavailableError(f"ended with status {status}: {log_tail(log)}")
    return Made(**json.loads(log.read_text().splitlines()[-1]))


def rclone_archive(task: Task) -> Made:
    """`rclone archive create`, default settings."""
    run = rclone.archive_create(
        rclone.install(task.work),
        task.origin,
        source=f"{BUCKET}/{task.dataset.prefix}",
        destination=f"{BUCKET}/{task.key}",
        log=task.run / "log",
        limit_seconds=LIMIT_SECONDS,
    )
    return Made(run.seconds, run.cpu_seconds, run.peak_bytes, run.requests)


def _ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310  -- our own http URL
        url, data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:  # noqa: S310  -- our own http URL
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise UnavailableError(f"answered {error.code}: {error.read(300).decode(errors='replace')}") from error
    except OSError as error:
        raise UnavailableError(f"does not answer: {error}") from error


#: What their programs come from; to be done before they stand behind a line, which leads nowhere but to the store.
INSTALLERS: dict[str, Callable[[Path], object]] = {
    "rclone": rclone.install,
    "s3-simple-compress": _install_s3_simple_compress,
}

#: Everyone but bucketzip, which is always there.
PEERS: dict[str, Archiver] = {
    "boto3-upload": boto3_upload,
    "rclone": rclone_archive,
    "s3-simple-compress": s3_simple_compress,
}
