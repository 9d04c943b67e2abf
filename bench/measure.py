"""One contender, one dataset: a verified warm-up, then rounds, each with the cost on every side."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import curl
from bench.contenders.base import Server
from bench.corpus import Corpus
from bench.datasets import Dataset
from bench.meter import cpu_seconds
from bench.origins.base import Origin
from bench.processes import UnavailableError
from bench.verify import verify

#: A download that takes longer is given up.
DOWNLOAD_LIMIT_SECONDS = 180
#: No further round is begun after this; slow peers get fewer rounds, and the table says how many.
_ROUNDS_LIMIT_SECONDS = 150


@dataclass(frozen=True, slots=True)
class Round:
    """One plan and one download. CPU is the contender's whole tree unless it says otherwise."""

    plan_seconds: float
    plan_cpu_seconds: float
    download_seconds: float
    first_byte_seconds: float
    download_cpu_seconds: float
    #: Share of the other core that origin and curl took during the download, 1.0 = all of it.
    other_core: float

    @property
    def total_seconds(self) -> float:
        """What the user waits: peers list inside the download, so only the sum compares."""
        return self.plan_seconds + self.download_seconds

    @property
    def total_cpu_seconds(self) -> float:
        """The contender's CPU for both."""
        return self.plan_cpu_seconds + self.download_cpu_seconds


@dataclass(slots=True)
class Measurement:
    """A row: rounds, or the reason why there are none."""

    contender: str
    origin: str
    dataset: Dataset
    rounds: list[Round] = field(default_factory=list)
    peak_bytes: int = 0
    problem: str | None = None

    @property
    def best(self) -> Round:
        """The quickest round as a whole; its CPU is of the same round."""
        return min(self.rounds, key=lambda one: one.total_seconds)

    @property
    def median_seconds(self) -> float:
        """Of plan and download together."""
        return median(one.total_seconds for one in self.rounds)


def warm_up_with(server: Server, corpus: Corpus, dataset: Dataset, run: Path, *, archive: bool) -> int:
    """A download that is checked and not timed: opens connections, fills caches. Its size."""
    link = server.plan(dataset)
    output = run / "archive.zip" if archive else None
    try:
        fetch = curl.start(link.urls, limit_seconds=DOWNLOAD_LIMIT_SECONDS, output=output).wait()
        if problem := curl.problem(fetch, least_bytes=dataset.total_bytes, usual_bytes=None):
            raise UnavailableError(problem)
        if output:
            verify(output, corpus.checksums(dataset))
    finally:
        if output:
            output.unlink(missing_ok=True)
    return fetch.size_bytes


def _round(server: Server, origin: Origin, dataset: Dataset, usual_bytes: int | None) -> Round:
    cpu_before = cpu_seconds(server.pid)
    began = time.perf_counter()
    link = server.plan(dataset)
    planned = time.perf_counter() - began
    cpu_planned, origin_planned = cpu_seconds(server.pid), cpu_seconds(origin.pid)
    began = time.perf_counter()
    client = curl.start(link.urls, limit_seconds=DOWNLOAD_LIMIT_SECONDS)
    try:
        fetch = client.wait()
    finally:
        client.stop()
    elapsed = time.perf_counter() - began
    origin_cpu = cpu_seconds(origin.pid) - origin_planned
    download_cpu = cpu_seconds(server.pid) - cpu_planned
    if problem := curl.problem(fetch, least_bytes=dataset.total_bytes, usual_bytes=usual_bytes):
        raise UnavailableError(problem)
    return Round(
        plan_seconds=planned,
        plan_cpu_seconds=cpu_planned - cpu_before,
        download_seconds=fetch.seconds,
        first_byte_seconds=fetch.first_byte_seconds,
        download_cpu_seconds=download_cpu,
        other_core=(origin_cpu + client.cpu_seconds) / elapsed,
    )


def measure(server: Server, origin: Origin, dataset: Dataset, *, rounds: int, usual_bytes: int | None) -> list[Round]:
    """As many rounds as fit into the time. UnavailableError when one is not right."""
    done: list[Round] = []
    deadline = time.monotonic() + _ROUNDS_LIMIT_SECONDS
    while len(done) < rounds and (not done or time.monotonic() < deadline):
        done.append(_round(server, origin, dataset, usual_bytes))
    return done
