"""One run of the command: its choices, its directory, its objects, and every result for `--json`."""

import itertools
import json
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import cores
from bench.certificates import Certificate, make_certificate
from bench.corpus import Corpus
from bench.datasets import Dataset
from bench.origins.base import Origin
from bench.origins.nginx import nginx_origin
from bench.origins.seaweedfs import seaweedfs_origin

ORIGINS = ("nginx", "seaweedfs")
#: Above this load average somebody else is using the cores.
_QUIET_LOAD = 0.7


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    quick: bool
    peers: tuple[str, ...]
    origins: tuple[str, ...]
    #: Measured rounds after the warm-up.
    rounds: int
    #: Between the contender and the store of `archives`, in each direction; None: loopback as it is.
    line_megabits_per_second: int | None = None


@dataclass
class Session:
    """What the benchmarks share."""

    options: Options
    #: Outlives the run: the npm packages.
    work: Path
    #: Deleted with the run.
    run: Path
    results: list[dict[str, Any]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @cached_property
    def corpus(self) -> Corpus:
        return Corpus(self.run / "objects")

    @cached_property
    def certificate(self) -> Certificate:
        return make_certificate(self.run / "certificates")

    def directory(self, name: str) -> Path:
        """A path that nobody had before."""
        return self.run / f"{next(self._numbers):03d}-{name}"

    @contextmanager
    def origin(self, name: str, datasets: tuple[Dataset, ...], *, tls: bool = False) -> Iterator[Origin]:
        """One of ORIGINS with these datasets in it."""
        for dataset in datasets:
            self.corpus.add(dataset)
        certificate = self.certificate if tls else None
        with ExitStack() as stack:
            if name == "nginx":
                yield stack.enter_context(nginx_origin(self.directory(name), self.corpus, certificate))
            else:
                yield stack.enter_context(seaweedfs_origin(self.corpus, datasets, certificate))

    def record(self, benchmark: str, row: dict[str, Any]) -> None:
        """Keep a row for the JSON file."""
        self.results.append({"benchmark": benchmark} | row)

    def write_json(self, path: Path) -> None:
        """Everything recorded, with what one must know of the machine to read it."""
        document = {"machine": describe_machine(), "quick": self.options.quick, "results": self.results}
        path.write_text(json.dumps(document, indent=1) + "\n")


def describe_machine() -> dict[str, Any]:
    """No names: only what bears on the numbers."""
    return {
        "cpus": os.cpu_count(),
        "placement": cores.describe(),
        "python": platform.python_version(),
        "kernel": platform.release().split("-")[0],
        "load_average": round(os.getloadavg()[0], 2),
    }


def load_warning() -> str | None:
    """A line for the table's head when the cores are not ours alone."""
    load = os.getloadavg()[0]
    return f"load average {load:.1f} at the start: the cores are shared, expect noise" if load > _QUIET_LOAD else None
