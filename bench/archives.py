"""`archives`: a ZIP of a bucket's objects, written into the bucket: what it takes, and what passes through the host.

With `--line` the contender reaches the store over a line of an instance's bandwidth. What the store copies inside
itself does not go over it, so that the table shows what that saves, as far as this store's copies are quick enough.
"""

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from statistics import median

from bench import cores
from bench.archiving import INSTALLERS, PEERS, Archiver, Made, Task, bucketzip
from bench.corpus import Corpus
from bench.datasets import BUCKET, GIB, KIB, MIB, Dataset
from bench.line import STORE_HOST, Line, Traffic, line
from bench.meter import cpu_seconds
from bench.origins.base import Origin
from bench.origins.client import s3_client
from bench.origins.seaweedfs import seaweedfs_origin
from bench.processes import UnavailableError
from bench.session import Session, load_warning
from bench.table import Row, ratio, render
from bench.verify import verify

_COLUMNS = (
    "wall s",
    "median s",
    "MiB/s",
    "requests",
    "CPU s",
    "peak MiB",
    "other core",
    "rounds",
    "wall",
    "CPU",
    "memory",
)
_HOST_COLUMNS = ("through host MiB", "of the archive")
_LINE_COLUMNS = ("sent MiB", "received MiB", "sent of the archive")
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
    #: None without a line.
    traffic: Traffic | None = None

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


@dataclass(frozen=True, slots=True)
class _Store:
    """The store, and the way to it in words for the title."""

    origin: Origin
    line: Line | None
    way: str


def _datasets(*, quick: bool) -> tuple[Dataset, ...]:
    large, medium, small = (256 * MIB if quick else GIB), 16 * MIB, 100 * KIB
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


def _round(archiver: Archiver, task: Task, corpus: Corpus, over: Line | None) -> Round:
    """The archive is checked, and deleted."""
    task.run.mkdir(parents=True)
    origin_before, traffic_before = cpu_seconds(task.origin.pid), over and over.traffic()
    with over.contender() if over else nullcontext():
        made = archiver(task)
    traffic = over.traffic() - traffic_before if over and traffic_before else None
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
    return Round(made, size, other_core, traffic)


def _measure(session: Session, store: _Store, dataset: Dataset, name: str, archiver: Archiver) -> _Measured:
    row = _Measured(name)
    deadline = time.monotonic() + _ROUNDS_LIMIT_SECONDS
    try:
        while len(row.rounds) < session.options.rounds and (not row.rounds or time.monotonic() < deadline):
            run = session.directory(f"{name}-{dataset.name}")
            task = Task(store.origin, dataset, f"archives/{run.name}.zip", run, session.work)
            row.rounds.append(_round(archiver, task, session.corpus, store.line))
    except UnavailableError as error:
        row.rounds, row.problem = [], str(error)
    return row


def _cells(row: _Measured, base: _Measured) -> tuple[str, ...]:
    best, made, reference = row.best, row.best.made, base.best.made
    return (
        f"{made.seconds:.2f}",
        f"{median(one.made.seconds for one in row.rounds):.2f}",
        f"{best.archive_bytes / MIB / made.seconds:.0f}",
        f"{made.requests:,}",
        f"{made.cpu_seconds:.2f}",
        f"{made.peak_bytes / MIB:.0f}",
        f"{best.other_core:.0%}{'!' if not best.traffic and best.other_core > _FULL_CORE else ''}",
        str(len(row.rounds)),
        ratio(made.seconds, reference.seconds),
        ratio(made.cpu_seconds, reference.cpu_seconds),
        ratio(made.peak_bytes, reference.peak_bytes),
        *_through(best),
    )


def _through(one: Round) -> tuple[str, ...]:
    """What passed through the host as the contender tells it, or over the line as that counts it."""
    if one.traffic is None:
        return f"{one.through_host_bytes / MIB:.1f}", f"{one.through_host_bytes / one.archive_bytes:.2%}"
    sent, received = one.traffic.sent_bytes, one.traffic.received_bytes
    return f"{sent / MIB:.1f}", f"{received / MIB:.1f}", f"{sent / one.archive_bytes:.2%}"


def _table(session: Session, store: _Store, dataset: Dataset) -> None:
    chosen = {"bucketzip": bucketzip} | {name: one for name, one in PEERS.items() if name in session.options.peers}
    notes = ["contender on one core, store on both"] if store.line else [cores.describe()]
    if warning := load_warning():
        notes.append(warning)
    rows = [_measure(session, store, dataset, name, archiver) for name, archiver in chosen.items()]
    base = next((row for row in rows if row.rounds), None)
    if base:
        notes.append(f"wall, CPU, memory: how many times {base.name}")
    if not store.line and any(row.rounds and row.best.other_core > _FULL_CORE for row in rows):
        notes.append("! the other core was full: this row waited for the origin, so compare its CPU, not its wall")
    lines = [
        Row(row.name, _cells(row, base)) if base and row.rounds else Row(row.name, problem=row.problem) for row in rows
    ]
    title = f"archives: {dataset.title} from {store.origin.title} to it{store.way}"
    columns = _COLUMNS + (_LINE_COLUMNS if store.line else _HOST_COLUMNS)
    print(render(title, columns, lines, notes), flush=True)
    for row in rows:
        session.record(
            "archives",
            {
                "contender": row.name,
                "dataset": dataset.title,
                "line_megabits_per_second": session.options.line_megabits_per_second,
                "content_bytes": dataset.total_bytes,
                "rounds": [asdict(one) for one in row.rounds],
                "problem": row.problem,
            },
        )


@contextmanager
def _store(session: Session, dataset: Dataset) -> Iterator[_Store]:
    """With the objects in it; the block is at its end of the line, if there is one."""
    megabits = session.options.line_megabits_per_second
    if megabits is None:
        with session.origin("seaweedfs", (dataset,)) as origin:
            yield _Store(origin, None, "")
        return
    session.corpus.add(dataset)
    with (
        line(megabits) as over,
        over.store(),
        seaweedfs_origin(session.corpus, (dataset,), host=STORE_HOST, cores=cores.ALL) as origin,
    ):
        yield _Store(origin, over, f", over a line of {megabits} Mbit/s in each direction")


def run(session: Session) -> None:
    """A table for each dataset, and a new server for each: SeaweedFS frees the space of what is deleted late."""
    for name, install in INSTALLERS.items():
        with suppress(UnavailableError):  # its rows say so
            if name in session.options.peers:
                install(session.work)
    for dataset in _datasets(quick=session.options.quick):
        try:
            with _store(session, dataset) as store:
                _table(session, store, dataset)
        except UnavailableError as error:
            print(f"\narchives: {dataset.title}: {error}")
