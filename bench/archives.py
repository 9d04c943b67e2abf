"""`archives`: a ZIP of a bucket's objects, written into the bucket: what it takes, and what passes through the host."""

import random
import shutil
import time
from dataclasses import asdict, dataclass, field
from statistics import median

from bench import cores
from bench.archiving import PEERS, Archiver, Made, Task, bucketzip
from bench.corpus import Corpus
from bench.datasets import BUCKET, GIB, KIB, MIB, Dataset
from bench.meter import cpu_seconds
from bench.origins.base import Origin
from bench.origins.client import s3_client
from bench.processes import UnavailableError
from bench.session import Session, load_warning
from bench.table import Row, ratio, render
from bench.verify import verify

_COLUMNS = (
    "wall s", "median s", "MiB/s", "through host MiB", "of the archive", "requests", "CPU s", "peak MiB", "other core",
    "rounds", "wall", "CPU", "memory",
)  # fmt: skip
#: No further round is begun after this.
_ROUNDS_LIMIT_SECONDS = 150
#: From here on the origin may be what the row waits for.
_FULL_CORE = 0.9


@dataclass(frozen=True, slots=True)
class Round:
    """One archive. `other_core` is the share of the other core that the origin took, 1.0 = all of it."""

    made: Made
    archive_bytes: int
    other_core: float

    @property
    def through_host_bytes(self) -> int:
        """Bytes of the archive that the contender sent."""
        told = self.made.through_host_bytes
        return self.archive_bytes if told is None else told


@dataclass(slots=True)
class _Measured:
    """A row: rounds, or the reason why there are none."""

    name: str
    rounds: list[Round] = field(default_factory=list)
    problem: str | None = None

    @property
    def best(self) -> Round:
        """The quickest."""
        return min(self.rounds, key=lambda one: one.made.seconds)


def _datasets(*, quick: bool) -> tuple[Dataset, ...]:
    large, medium, small = (128 * MIB if quick else GIB), 16 * MIB, 100 * KIB
    mix = [large] * 2 + [medium] * (8 if quick else 50) + [small] * (200 if quick else 2000)
    random.Random("mix").shuffle(mix)
    count = 30 if quick else 200
    many = 500 if quick else 5000
    return (
        Dataset("large", f"4 x {large // MIB:,} MiB", (large,) * 4),
        Dataset("medium", f"{count} x 16 MiB", (medium,) * count),
        Dataset("small", f"{many:,} x 100 KiB", (small,) * many),
        Dataset("mix", f"a mix of {len(mix):,}, {sum(mix) / GIB:.1f} GiB", tuple(mix)),
    )


def _round(archiver: Archiver, task: Task, corpus: Corpus) -> Round:
    """The archive is checked, and deleted."""
    task.run.mkdir(parents=True)
    origin_before = cpu_seconds(task.origin.pid)
    made = archiver(task)
    other_core = (cpu_seconds(task.origin.pid) - origin_before) / made.seconds
    client, copy = s3_client(task.origin), task.run / "archive.zip"
    try:
        with copy.open("wb") as file:
            shutil.copyfileobj(client.get_object(Bucket=BUCKET, Key=task.key)["Body"], file, MIB)
        size = copy.stat().st_size
        verify(copy, corpus.checksums(task.dataset))
    finally:
        copy.unlink(missing_ok=True)
        client.delete_object(Bucket=BUCKET, Key=task.key)
    return Round(made, size, other_core)


def _measure(session: Session, origin: Origin, dataset: Dataset, name: str, archiver: Archiver) -> _Measured:
    row = _Measured(name)
    deadline = time.monotonic() + _ROUNDS_LIMIT_SECONDS
    try:
        while len(row.rounds) < session.options.rounds and (not row.rounds or time.monotonic() < deadline):
            run = session.directory(f"{name}-{dataset.name}")
            task = Task(origin, dataset, f"archives/{run.name}.zip", run, session.work)
            row.rounds.append(_round(archiver, task, session.corpus))
    except UnavailableError as error:
        row.rounds, row.problem = [], str(error)
    return row


def _cells(row: _Measured, base: _Measured) -> tuple[str, ...]:
    best, made, reference = row.best, row.best.made, base.best.made
    return (
        f"{made.seconds:.2f}",
        f"{median(one.made.seconds for one in row.rounds):.2f}",
        f"{best.archive_bytes / MIB / made.seconds:.0f}",
        f"{best.through_host_bytes / MIB:.1f}",
        f"{best.through_host_bytes / best.archive_bytes:.2%}",
        f"{made.requests:,}",
        f"{made.cpu_seconds:.2f}",
        f"{made.peak_bytes / MIB:.0f}",
        f"{best.other_core:.0%}{'!' if best.other_core > _FULL_CORE else ''}",
        str(len(row.rounds)),
        ratio(made.seconds, reference.seconds),
        ratio(made.cpu_seconds, reference.cpu_seconds),
        ratio(made.peak_bytes, reference.peak_bytes),
    )


def _table(session: Session, origin: Origin, dataset: Dataset) -> None:
    chosen = {"bucketzip": bucketzip} | {name: one for name, one in PEERS.items() if name in session.options.peers}
    notes = [cores.describe()]
    if warning := load_warning():
        notes.append(warning)
    rows = [_measure(session, origin, dataset, name, archiver) for name, archiver in chosen.items()]
    base = next((row for row in rows if row.rounds), None)
    if base:
        notes.append(f"last three columns: how many times {base.name}")
    if any(row.rounds and row.best.other_core > _FULL_CORE for row in rows):
        notes.append("! the other core was full: this row waited for the origin, so compare its CPU, not its wall")
    lines = [
        Row(row.name, _cells(row, base)) if base and row.rounds else Row(row.name, problem=row.problem) for row in rows
    ]
    print(render(f"archives: {dataset.title} from {origin.title} to it", _COLUMNS, lines, notes), flush=True)
    for row in rows:
        session.record(
            "archives",
            {
                "contender": row.name,
                "dataset": dataset.title,
                "content_bytes": dataset.total_bytes,
                "rounds": [asdict(one) for one in row.rounds],
                "problem": row.problem,
            },
        )


def run(session: Session) -> None:
    """A table for each dataset, and a new server for each: SeaweedFS frees the space of what is deleted late."""
    for dataset in _datasets(quick=session.options.quick):
        try:
            with session.origin("seaweedfs", (dataset,)) as origin:
                _table(session, origin, dataset)
        except UnavailableError as error:
            print(f"\narchives: {dataset.title}: {error}")
