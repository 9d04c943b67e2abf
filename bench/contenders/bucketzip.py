"""bucketzip itself, started as a newcomer would, and asked as its documentation says."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from bench.contenders.base import Link, Server
from bench.cores import CONTENDER
from bench.datasets import BUCKET, Dataset
from bench.origins.base import Origin
from bench.processes import UnavailableError, free_port, running, wait_until_ready

_PLAN_LIMIT_SECONDS = 120


def _plan(base: str, dataset: Dataset) -> Link:
    """POST /downloads lists the prefix, pins every object, and answers with the link, maybe before it is planned."""
    body = {"sources": [f"s3://{BUCKET}/{dataset.prefix}"], "filename": f"{dataset.name}.zip"}
    answer = json.loads(_ask(f"{base}/downloads", "POST", json.dumps(body).encode()))
    url = urljoin(base, str(answer["url"]))
    deadline = time.monotonic() + _PLAN_LIMIT_SECONDS
    while answer.get("state") == "planning" and time.monotonic() < deadline:
        try:
            _ask(url, "HEAD")  # waits for the plan as long as the server's setting says, then 503
            break
        except UnavailableError:
            time.sleep(0.1)
    return Link((url,))


def _ask(url: str, method: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(  # noqa: S310  # our own http URL
        url, data=body, headers={"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=_PLAN_LIMIT_SECONDS) as response:  # noqa: S310
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        text = error.read(300).decode(errors="replace")
        raise UnavailableError(f"{method} answered {error.code}: {text}") from error
    except OSError as error:
        raise UnavailableError(f"{method} failed: {error}") from error


@dataclass(frozen=True, slots=True)
class Bucketzip:
    """`bucketzip serve`, one process, with default settings but for `options`; nobody here needs a token."""

    name: str = "bucketzip"
    options: tuple[str, ...] = ()
    makes_archives: bool = True

    @contextmanager
    def serve(self, origin: Origin, work: Path, run: Path) -> Iterator[Server]:
        """Ready when /healthz answers."""
        port = free_port()
        run.mkdir(parents=True)
        command = [sys.executable, "-m", "bucketzip", "serve", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--state-dir", str(run / "state"), "--trusted-cidrs", "127.0.0.0/8", *self.options]
        log = run / "log"
        with running(command, cores=CONTENDER, log=log, environment=origin.environment()) as process:
            wait_until_ready(process, port, log, "/healthz")
            yield Server(process.pid, lambda dataset: _plan(f"http://127.0.0.1:{port}", dataset))
