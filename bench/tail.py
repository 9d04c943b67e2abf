"""`tail`: an origin some of whose answers take 50 times as long, and one that says SlowDown above a rate."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from bench import cores
from bench.contenders.base import Contender
from bench.contenders.bucketzip import Bucketzip
from bench.contenders.choice import contenders
from bench.contenders.peers import PythonPeer
from bench.datasets import MIB, Dataset, large, small, warm
from bench.measure import Round, measure, warm_up_with
from bench.origins.base import Origin
from bench.processes import UnavailableError
from bench.session import Session, load_warning
from bench.table import Row, ratio, render
from bench.trouble import Counts, Trouble, troubled

_COLUMNS = ("best s", "median s", "worst s", "MiB/s", "GETs", "slow", "refused", "more GETs", "CPU s", "wall")
_S3_BYTES_PER_SECOND = 50 * MIB
_HEDGED = Bucketzip()
_NOT_HEDGED = Bucketzip("bucketzip, no hedging", ("--s3-hedging", "0"))
_MOST_PER_SECOND = 200
_THREADS = tuple(
    PythonPeer(f"boto3, 64 threads, {mode}", "bench.peers.boto3_threads", environment=(("AWS_RETRY_MODE", mode),))
    for mode in ("standard", "adaptive")
)


@dataclass(slots=True)
class _Measurement:
    contender: str
    rounds: list[Round] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    problem: str | None = None

    @property
    def seconds(self) -> list[float]:
        return [one.download_seconds for one in self.rounds]

    def mean(self, of: Callable[[Counts], int]) -> float:
        return sum(map(of, self.counts)) / len(self.counts)


def _measure(
    session: Session, contender: Contender, origin: Origin, dataset: Dataset, counts: Callable[[], Counts]
) -> _Measurement:
    """Warmed up with a few objects; then each round by itself, so that its requests can be counted."""
    row, run = _Measurement(contender.name), session.directory("tail")
    try:
        with contender.serve(origin, session.work, run) as server:
            warm_up_with(server, session.corpus, warm(), run, archive=True)
            for _ in range(session.options.rounds):
                before = counts()
                row.rounds += measure(server, origin, dataset, rounds=1, usual_bytes=None)
                row.counts.append(counts().since(before))
    except UnavailableError as error:
        row.problem = str(error)
    return row


def _cells(row: _Measurement, base: _Measurement, dataset: Dataset) -> tuple[str, ...]:
    one_each = (
        len(dataset.sizes) if max(dataset.sizes) < MIB else 0
    )  # those above are read in ranges, as many as it takes
    taken = row.mean(lambda one: one.requests - one.refused)
    return (
        f"{min(row.seconds):.2f}",
        f"{median(row.seconds):.2f}",
        f"{max(row.seconds):.2f}",
        f"{dataset.total_bytes / MIB / median(row.seconds):.1f}",
        f"{row.mean(lambda one: one.requests):.0f}",
        f"{row.mean(lambda one: one.slow):.0f}",
        f"{row.mean(lambda one: one.refused) / row.mean(lambda one: one.requests):.1%}",
        f"{taken / one_each - 1:.1%}" if one_each else "-",
        f"{median(one.download_cpu_seconds for one in row.rounds):.2f}",
        ratio(median(row.seconds), median(base.seconds)),
    )


def _table(session: Session, title: str, trouble: Trouble, dataset: Dataset, chosen: Sequence[Contender]) -> None:
    with (
        session.origin(session.options.origins[0], (dataset, warm())) as origin,
        troubled(origin.address[1], trouble, session.run) as (port, counts),
    ):
        rows = [_measure(session, contender, origin.behind(port), dataset, counts) for contender in chosen]
        notes = [cores.describe(), f"{dataset.title} from {origin.title}; last column: median, times the first row's"]
    if warning := load_warning():
        notes.append(warning)
    base = next((row for row in rows if row.rounds), None)
    lines = [
        Row(row.contender, problem=row.problem)
        if base is None or row.problem
        else Row(row.contender, _cells(row, base, dataset))
        for row in rows
    ]
    print(render(title, _COLUMNS, lines, notes), flush=True)
    for row in rows:
        session.record(
            "tail",
            {
                "title": title,
                "contender": row.contender,
                "trouble": asdict(trouble),
                "rounds": [asdict(one) for one in row.rounds],
                "counts": [asdict(one) for one in row.counts],
                "problem": row.problem,
            },
        )


def run(session: Session) -> None:
    """Stragglers among small objects, stragglers among the ranges of large ones, and a limit of requests."""
    quick = session.options.quick
    objects, files = small(quick=False), large(quick=quick)
    peers = contenders(session.options.peers, archives_only=True)[1:] if not quick else []
    straggling = Trouble(0.02, slow_share=0.01)
    title = "tail: each GET takes 20 ms, one in a hundred takes 1 s"
    _table(session, title, straggling, objects, [_HEDGED, _NOT_HEDGED, *peers])
    crawling = Trouble(0.02, slow_share=0.03, bytes_per_second=_S3_BYTES_PER_SECOND)
    title = "tail: bodies come at 50 MiB/s, three in a hundred at 1 MiB/s"
    _table(session, title, crawling, files, [_HEDGED, _NOT_HEDGED])
    limited = Trouble(0.05, most_per_second=_MOST_PER_SECOND)
    title = f"tail: SlowDown above {_MOST_PER_SECOND} GETs/s, each takes 50 ms: ten at once are what it takes"
    told = Bucketzip("bucketzip, told 10", ("--s3-connections", "10"))
    threads = _THREADS if session.options.peers else ()
    _table(session, title, limited, objects, [_HEDGED, told, *threads])
