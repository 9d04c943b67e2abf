"""Contender by dataset over one origin: what streaming, tls and latency share."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench import cores
from bench.contenders.base import Contender
from bench.datasets import GIB, MIB, Dataset
from bench.measure import Measurement, measure, warm_up_with
from bench.meter import peak_memory_bytes
from bench.origins.base import Origin
from bench.processes import UnavailableError
from bench.session import Session, load_warning
from bench.table import Row, ratio, render

_COLUMNS = (
    "plan s", "download s", "total s", "median s", "first byte s", "MiB/s",
    "CPU s/GiB", "CPU ms/object", "plan CPU ms", "peak MiB", "other core", "rounds", "wall", "CPU",
)  # fmt: skip
#: From here on the origin and curl may be what the row waits for.
_FULL_CORE = 0.9


@dataclass(frozen=True, slots=True)
class Grid:
    """One table."""

    benchmark: str
    title: str
    origin: Origin
    contenders: Sequence[Contender]
    dataset: Dataset
    #: Fetched once before the rounds.
    warm_up: Dataset


def _measure(session: Session, grid: Grid, contender: Contender) -> Measurement:
    """A process of its own for each row, so that peak memory is of this dataset."""
    row = Measurement(contender.name, grid.origin.title, grid.dataset)
    run = session.directory(contender.name)
    try:
        with contender.serve(grid.origin, session.work, run) as server:
            size = warm_up_with(server, session.corpus, grid.warm_up, run, archive=contender.makes_archives)
            usual_bytes = size if grid.warm_up is grid.dataset else None
            rounds = session.options.rounds
            row.rounds = measure(server, grid.origin, grid.dataset, rounds=rounds, usual_bytes=usual_bytes)
            row.peak_bytes = peak_memory_bytes(server.pid)
    except UnavailableError as error:
        row.problem = str(error)
    return row


def _cells(row: Measurement, base: Measurement) -> tuple[str, ...]:
    best, reference = row.best, base.best
    return (
        f"{best.plan_seconds:.3f}",
        f"{best.download_seconds:.3f}",
        f"{best.total_seconds:.3f}",
        f"{row.median_seconds:.3f}",
        f"{best.first_byte_seconds:.3f}",
        f"{row.dataset.total_bytes / MIB / best.download_seconds:.0f}",
        f"{best.download_cpu_seconds / (row.dataset.total_bytes / GIB):.2f}",
        f"{best.download_cpu_seconds / len(row.dataset.sizes) * 1000:.3f}",
        f"{best.plan_cpu_seconds * 1000:.0f}",
        f"{row.peak_bytes / MIB:.0f}",
        f"{best.other_core:.0%}{'!' if best.other_core > _FULL_CORE else ''}",
        str(len(row.rounds)),
        ratio(best.total_seconds, reference.total_seconds),
        ratio(best.total_cpu_seconds, reference.total_cpu_seconds),
    )


def _record(session: Session, benchmark: str, row: Measurement) -> None:
    session.record(
        benchmark,
        {
            "contender": row.contender,
            "origin": row.origin,
            "dataset": row.dataset.title,
            "objects": len(row.dataset.sizes),
            "content_bytes": row.dataset.total_bytes,
            "peak_resident_bytes": row.peak_bytes,
            "rounds": [asdict(one) for one in row.rounds],
            "problem": row.problem,
        },
    )


def run_grid(session: Session, grid: Grid) -> None:
    """Measure, print the table, record its rows. The ratios are to the first row that has numbers."""
    notes = [cores.describe()]
    if warning := load_warning():
        notes.append(warning)
    rows = [_measure(session, grid, contender) for contender in grid.contenders]
    base = next((row for row in rows if row.rounds), None)
    if base:
        notes.append(f"last two columns: how many times {base.contender} (plan and download together)")
    if any(row.rounds and row.best.other_core > _FULL_CORE for row in rows):
        notes.append(
            "! the other core was full: this row waited for origin and client, so compare its CPU, not its wall"
        )
    lines = [
        Row(row.contender, _cells(row, base)) if base and row.rounds else Row(row.contender, problem=row.problem)
        for row in rows
    ]
    print(render(grid.title, _COLUMNS, lines, notes), flush=True)
    for row in rows:
        _record(session, grid.benchmark, row)
