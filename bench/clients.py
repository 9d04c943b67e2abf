"""`clients`: many downloads at once, a fifth of them slow. The server's peak of memory, and whether all get theirs."""

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from bench import cores, curl
from bench.contenders.base import Contender, Server
from bench.contenders.choice import contenders
from bench.datasets import KIB, MIB, Dataset, many, mixed
from bench.measure import warm_up_with
from bench.meter import cpu_seconds, peak_memory_bytes
from bench.origins.base import Origin
from bench.processes import UnavailableError
from bench.session import Session
from bench.table import Row, ratio, render

#: One client in this many is slow.
_SLOW_SHARE = 5
_SLOW_BYTES_PER_SECOND = 10 * KIB
_FAST_LIMIT_SECONDS = 450
#: A set with more objects than this is planned once, and all clients share the link: planning is another benchmark.
_OWN_LINKS_OBJECTS = 10_000

_COLUMNS = ("fast done", "plan s", "fast all done s", "MiB/s", "CPU s", "peak MiB", "slow got KiB", "memory")


@dataclass(frozen=True, slots=True)
class Crowd:
    """What came of one crowd."""

    fast: int
    fast_done: int
    plan_seconds: float
    #: From the first start to the last fast client's end.
    seconds: float
    received_bytes: int
    cpu_seconds: float
    peak_bytes: int
    #: The least that a slow client got: 0 would mean that it was starved.
    slow_least_bytes: int
    #: What went wrong for the first fast client that failed.
    problem: str | None


def _crowd(server: Server, dataset: Dataset, clients: int, usual_bytes: int, slow_seconds: int) -> Crowd:
    """Links first; then all clients at once, slow ones spread among them, who leave in the middle of their archive."""
    began, cpu_before = time.perf_counter(), cpu_seconds(server.pid)
    if len(dataset.sizes) > _OWN_LINKS_OBJECTS:
        links = [server.plan(dataset)] * clients
    else:
        links = [server.plan(dataset) for _ in range(clients)]
    planned = time.perf_counter()
    with ExitStack() as stack:
        fast: list[curl.Curl] = []
        slow: list[curl.Curl] = []
        for number, link in enumerate(links):
            lingers = number % _SLOW_SHARE == 0
            client = curl.start(
                link.urls,
                limit_seconds=slow_seconds if lingers else _FAST_LIMIT_SECONDS,
                bytes_per_second=_SLOW_BYTES_PER_SECOND if lingers else None,
            )
            stack.callback(client.stop)
            (slow if lingers else fast).append(client)
        fetches = [client.wait() for client in fast]
        finished = time.perf_counter()
        lingering = [client.wait() for client in slow]
        problems = [curl.problem(fetch, least_bytes=dataset.total_bytes, usual_bytes=usual_bytes) for fetch in fetches]
        return Crowd(
            fast=len(fast),
            fast_done=problems.count(None),
            plan_seconds=planned - began,
            seconds=finished - planned,
            received_bytes=sum(fetch.size_bytes for fetch in fetches),
            cpu_seconds=cpu_seconds(server.pid) - cpu_before,
            peak_bytes=peak_memory_bytes(server.pid),
            slow_least_bytes=min(fetch.size_bytes for fetch in lingering),
            problem=next((problem for problem in problems if problem), None),
        )


def _measure(session: Session, contender: Contender, origin: Origin, dataset: Dataset, clients: int) -> Crowd | str:
    """A new process for each crowd; its peak is since its start. The text is why there is no result."""
    run = session.directory(contender.name)
    try:
        with contender.serve(origin, session.work, run) as server:
            usual_bytes = warm_up_with(server, session.corpus, dataset, run, archive=True)
            return _crowd(server, dataset, clients, usual_bytes, 5 if session.options.quick else 20)
    except UnavailableError as error:
        return str(error)


def _cells(crowd: Crowd, base: Crowd) -> tuple[str, ...]:
    return (
        f"{crowd.fast_done}/{crowd.fast}",
        f"{crowd.plan_seconds:.2f}",
        f"{crowd.seconds:.1f}",
        f"{crowd.received_bytes / MIB / crowd.seconds:.0f}",
        f"{crowd.cpu_seconds:.1f}",
        f"{crowd.peak_bytes / MIB:.0f}",
        f"{crowd.slow_least_bytes / KIB:.0f}",
        ratio(crowd.peak_bytes, base.peak_bytes),
    )


def _table(session: Session, origin: Origin, chosen: list[Contender], dataset: Dataset, clients: int) -> None:
    results = {contender.name: _measure(session, contender, origin, dataset, clients) for contender in chosen}
    base = next((crowd for crowd in results.values() if isinstance(crowd, Crowd)), None)
    rows, notes = [], [cores.describe()]
    for name, crowd in results.items():
        if base and isinstance(crowd, Crowd):
            rows.append(Row(name, _cells(crowd, base)))
            if crowd.problem:
                notes.append(f"{name}: {crowd.problem}")
            session.record("clients", {"contender": name, "clients": clients, "dataset": dataset.title} | asdict(crowd))
        else:
            rows.append(Row(name, problem=str(crowd)))
            session.record("clients", {"contender": name, "clients": clients, "problem": str(crowd)})
    print(render(f"clients: {clients} at once, each {dataset.title} from {origin.title}", _COLUMNS, rows, notes))


def run(session: Session) -> None:
    """Two crowds for everybody, and a crowd for a long directory that only bucketzip can serve in bearable time."""
    quick = session.options.quick
    everyday, long = mixed(), many(quick=quick)
    with session.origin(session.options.origins[0], (everyday, long)) as origin:
        chosen = contenders(session.options.peers, archives_only=True)
        for clients in (4, 16) if quick else (16, 200):
            _table(session, origin, chosen, everyday, clients)
        _table(session, origin, chosen[:1], long, 4 if quick else 16)
