"""The programs people write today, one small server each, found in bench/peers.

They answer `GET /bucket/prefix/` with an archive of the prefix and list it inside that request, so their planning
time is part of the download and shows as zero.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench.contenders.base import Link, Server
from bench.cores import CONTENDER
from bench.datasets import BUCKET, Dataset
from bench.origins.base import Origin
from bench.processes import UnavailableError, clean_environment, free_port, running, wait_until_ready

_NODE_SOURCES = Path(__file__).resolve().parents[1] / "peers" / "node"
_INSTALL_LIMIT_SECONDS = 180


@contextmanager
def _serve(
    command: Sequence[str | Path], origin: Origin, run: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Server]:
    port = free_port()
    run.mkdir(parents=True)
    log = run / "log"
    everything = {**origin.environment(), **environment}
    with running([*command, str(port)], cores=CONTENDER, log=log, environment=everything) as process:
        wait_until_ready(process, port, log)

        def plan(dataset: Dataset) -> Link:
            return Link((f"http://127.0.0.1:{port}/{BUCKET}/{dataset.prefix}",))

        yield Server(process.pid, plan)


@dataclass(frozen=True, slots=True)
class PythonPeer:
    """A module of bench/peers, run by the interpreter that runs us."""

    name: str
    module: str
    makes_archives: bool = True
    environment: tuple[tuple[str, str], ...] = ()

    @contextmanager
    def serve(self, origin: Origin, work: Path, run: Path) -> Iterator[Server]:
        """Ready when its port listens."""
        with _serve([sys.executable, "-m", self.module], origin, run, dict(self.environment)) as server:
            yield server


def _install_node_packages(cache: Path) -> Path:
    """`npm install` of the pinned package.json, once; the directory it lies in."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise UnavailableError("node and npm are not installed")
    cache.mkdir(parents=True, exist_ok=True)
    for source in _NODE_SOURCES.iterdir():
        shutil.copy(source, cache)
    wanted, installed = (cache / "package.json").read_text(), cache / "installed.json"
    if installed.exists() and installed.read_text() == wanted:
        return cache
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        subprocess.run(
            command,
            cwd=cache,
            env=clean_environment({}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_INSTALL_LIMIT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.decode(errors="replace").split())[:200]
        raise UnavailableError(f"npm install failed: {reason}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"npm install took over {_INSTALL_LIMIT_SECONDS} s") from error
    installed.write_text(wanted)
    return cache


@dataclass(frozen=True, slots=True)
class NodePeer:
    """bench/peers/node, with its packages kept in the work directory."""

    name: str
    makes_archives: bool = True

    @contextmanager
    def serve(self, origin: Origin, work: Path, run: Path) -> Iterator[Server]:
        """Ready when its port listens."""
        program = _install_node_packages(work / "node") / "server.js"
        with _serve(["node", program], origin, run) as server:
            yield server
