"""What the measurements ask of a contender."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.datasets import Dataset
from bench.origins.base import Origin


@dataclass(frozen=True, slots=True)
class Link:
    """What curl fetches: one archive, or for the bare proxy each object in turn."""

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """A running contender."""

    pid: int
    #: Makes the link for one download; the time it takes is the planning time.
    plan: Callable[[Dataset], Link]


class Contender(Protocol):
    """One row of the tables."""

    @property
    def name(self) -> str:
        """As in `--peers`."""

    @property
    def makes_archives(self) -> bool:
        """False for the floor: it only passes bytes on."""

    def serve(self, origin: Origin, work: Path, run: Path) -> AbstractContextManager[Server]:
        """Start it against the origin; `work` outlives the run (caches), `run` is a new directory of its own.

        Raises UnavailableError with the reason for its row.
        """
