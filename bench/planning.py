"""`planning`: a million entries laid out, in a process of its own, against zipstream-ng doing the same.

Names, sizes and ETags only, nothing is read: what a request for a huge prefix costs after its listing. Each layout ends
with the exact length of the archive, the one thing both can be asked for.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from bench.cores import CONTENDER, pinned
from bench.datasets import KIB, MIB
from bench.meter import peak_memory_bytes
from bench.processes import REPOSITORY, clean_environment
from bench.session import Session, load_warning
from bench.table import Row, ratio, render

_LIMIT_SECONDS = 300
_SIZE_BYTES = 10 * KIB
_MTIME = 1_700_000_000
_COLUMNS = ("entries", "wall s", "CPU s", "us/entry", "peak MiB", "wall", "CPU", "memory")


@dataclass(frozen=True, slots=True)
class Planned:
    """What the child reports of itself; its interpreter and imports are in the peak, not in the times."""

    entries: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    archive_bytes: int


def _keys(entries: int) -> Iterator[str]:
    """A thousand folders, as in a bucket partitioned by day."""
    return (f"year/{index % 1000:03d}/object-{index:09d}.bin" for index in range(entries))


def plan_million(entries: int) -> int:
    """THE CALL UNDER TEST: bucketzip's way from listed objects to the length of the archive."""
    from tempfile import TemporaryFile  # noqa: PLC0415  # the child imports only what its contender needs

    from bucketzip.archive.layout import Layout  # noqa: PLC0415
    from bucketzip.archive.manifest import Manifest, ManifestBuilder, Source  # noqa: PLC0415
    from bucketzip.archive.names import Names  # noqa: PLC0415

    builder, names = ManifestBuilder(), Names()
    for index, key in enumerate(_keys(entries)):
        source = Source("bench", key, f'"{index:032x}"')
        builder.add(names.file(key), source, size=_SIZE_BYTES, mtime=_MTIME)
    with TemporaryFile() as file:
        digest = builder.write(file)
        file.seek(0)
        return Layout(Manifest(file.read()), digest).size


def plan_zipstream_ng(entries: int) -> int:
    """The peer that knows a length beforehand: the same names and sizes, bodies that are never read."""
    from zipstream import ZipStream  # noqa: PLC0415

    stream = ZipStream(sized=True)
    for key in _keys(entries):
        stream.add(iter(()), key, size=_SIZE_BYTES)
    return len(stream)


_LAYOUTS: dict[str, Callable[[int], int]] = {"bucketzip": plan_million, "zipstream-ng": plan_zipstream_ng}


def _in_a_child(contender: str, entries: int) -> Planned | str:
    with pinned(CONTENDER):
        try:
            child = subprocess.run(
                [sys.executable, "-m", "bench.planning", contender, str(entries)],
                cwd=REPOSITORY,
                env=clean_environment({}),
                capture_output=True,
                timeout=_LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"took over {_LIMIT_SECONDS} s"
    if child.returncode != 0:
        return f"failed: {' '.join(child.stderr.decode(errors='replace').split())[-200:]}"
    return Planned(**json.loads(child.stdout))


def _child(contender: str, entries: int) -> None:
    _LAYOUTS[contender](1)  # imports
    began, cpu_began = time.perf_counter(), time.process_time()
    size = _LAYOUTS[contender](entries)
    planned = Planned(
        entries=entries,
        wall_seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - cpu_began,
        peak_bytes=peak_memory_bytes(os.getpid()),  # not ru_maxrss: that starts with what our parent had at the fork
        archive_bytes=size,
    )
    print(json.dumps(asdict(planned)))


def run(session: Session) -> None:
    """One table; a round each, since nothing here depends on a neighbour but the core."""
    entries = 100_000 if session.options.quick else 1_000_000
    chosen = [name for name in _LAYOUTS if name == "bucketzip" or name in session.options.peers]
    results = {name: _in_a_child(name, entries) for name in chosen}
    base = next((planned for planned in results.values() if isinstance(planned, Planned)), None)
    rows = []
    for name, planned in results.items():
        if not isinstance(planned, Planned) or base is None:
            rows.append(Row(name, problem=str(planned)))
            session.record("planning", {"contender": name, "problem": str(planned)})
            continue
        cells = (
            f"{planned.entries:,}",
            f"{planned.wall_seconds:.2f}",
            f"{planned.cpu_seconds:.2f}",
            f"{planned.wall_seconds / planned.entries * 1e6:.1f}",
            f"{planned.peak_bytes / MIB:.0f}",
            ratio(planned.wall_seconds, base.wall_seconds),
            ratio(planned.cpu_seconds, base.cpu_seconds),
            ratio(planned.peak_bytes, base.peak_bytes),
        )
        rows.append(Row(name, cells))
        session.record("planning", {"contender": name} | asdict(planned))
    warning = load_warning()
    print(render(f"planning: {entries:,} entries laid out", _COLUMNS, rows, [warning] if warning else []))


if __name__ == "__main__":
    _child(sys.argv[1], int(sys.argv[2]))
