"""`resume`: what the rest of a broken download costs, and what each way to a CRC-32 does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median

from bench import cores, crc_ways
from bench.contenders.base import Contender
from bench.contenders.bucketzip import Bucketzip
from bench.contenders.choice import contenders
from bench.counters import counters
from bench.datasets import KIB, MIB, Dataset, warm
from bench.measure import warm_up_with
from bench.origins.base import Origin
from bench.processes import UnavailableError
from bench.resuming import fetch_rest
from bench.session import Session, load_warning
from bench.table import Row, ratio, render
from bench.uploads import Manner, upload

_COLUMNS = ("first byte ms", "last byte s", "read from S3 MiB", "first byte", "last byte")
_READ = "bucketzip_s3_received_bytes_total"
_READING = ("--scratch", "off")
#: S3 is asked to compute nothing before the link is ready, and everything that a slice turns out to need.
_ASKING = ("--scratch-bytes", "0")


@dataclass(frozen=True, slots=True)
class _Way:
    """How the rest is had."""

    contender: Contender
    #: Whether the whole was downloaded, and checked, before the measurement.
    after_a_download: bool = False
    by_range: bool = True
    #: Whether the origin has to copy inside itself, and tell the CRC-32s of copies.
    needs_copies: bool = False

    @property
    def counts(self) -> bool:
        return isinstance(self.contender, Bucketzip)


@dataclass(frozen=True, slots=True)
class _Round:
    first_byte_seconds: float
    last_byte_seconds: float
    #: None for those who do not tell.
    read_bytes: int | None
    crc: int


@dataclass(slots=True)
class _Measurement:
    way: _Way
    rounds: list[_Round] = field(default_factory=list)
    problem: str | None = None

    @property
    def first_byte_seconds(self) -> float:
        return median(one.first_byte_seconds for one in self.rounds)

    @property
    def last_byte_seconds(self) -> float:
        return median(one.last_byte_seconds for one in self.rounds)

    @property
    def read_mib(self) -> str:
        read = [one.read_bytes / MIB for one in self.rounds if one.read_bytes is not None]
        return f"{median(read):.1f}" if read else "-"


def _dataset(*, quick: bool) -> Dataset:
    """Small objects with a large one behind every few."""
    groups, few, size = (4, 10, 16 * MIB) if quick else (24, 20, 64 * MIB)
    title = f"{groups} x ({few} x 10 KiB + {size // MIB} MiB)"
    return Dataset("resumed", title, ((10 * KIB,) * few + (size,)) * groups)


def _ways(session: Session) -> list[_Way]:
    """The first is what the others are compared with."""
    peers = [one for one in contenders(session.options.peers) if one.name == "zipstream-ng"]
    return [
        _Way(Bucketzip("CRCs known", _READING), after_a_download=True),
        _Way(Bucketzip("CRCs read", _READING)),
        _Way(Bucketzip("CRCs by copies in S3", _ASKING), needs_copies=True),
        _Way(Bucketzip("without Range", _READING), by_range=False),
        *(_Way(peer, by_range=False) for peer in peers),
    ]


def _round(session: Session, origin: Origin, dataset: Dataset, way: _Way, rest_bytes: int) -> _Round:
    """A new process with a state directory of its own, so nothing is known but by the way's own doing."""
    run = session.directory("resume")
    with way.contender.serve(origin, session.work, run) as server:
        warm_up_with(server, session.corpus, warm(), run, archive=True)
        if way.after_a_download:
            warm_up_with(server, session.corpus, dataset, run, archive=True)
        link = server.plan(dataset)
        before = counters(link) if way.counts else None
        rest = fetch_rest(link.urls[0], rest_bytes, by_range=way.by_range)
        read_bytes = (counters(link) - before).total(_READ) if before else None
    return _Round(rest.first_byte_seconds, rest.last_byte_seconds, read_bytes, rest.crc)


def _measure(session: Session, origin: Origin, dataset: Dataset, way: _Way, rest_bytes: int) -> _Measurement:
    row = _Measurement(way)
    try:
        for _ in range(session.options.rounds):
            row.rounds.append(_round(session, origin, dataset, way, rest_bytes))
    except UnavailableError as error:
        row.problem = str(error)
    return row


def _line(row: _Measurement, base: _Measurement) -> Row:
    name = row.way.contender.name
    if row.problem or base.problem:
        return Row(name, problem=row.problem or f"nothing to compare with: {base.problem}")
    if row.way.counts and {one.crc for one in row.rounds} != {base.rounds[0].crc}:
        return Row(name, problem=f"sent other bytes than: {base.way.contender.name}")
    cells = (
        f"{row.first_byte_seconds * 1000:.1f}",
        f"{row.last_byte_seconds:.3f}",
        row.read_mib,
        ratio(row.first_byte_seconds, base.first_byte_seconds),
        ratio(row.last_byte_seconds, base.last_byte_seconds),
    )
    return Row(name, cells)


def _table(session: Session, origin: Origin, dataset: Dataset, part: str, rest_bytes: int) -> None:
    title = f"resume: the last {part} of {dataset.title} from {origin.title}"
    notes = [
        cores.describe(),
        "medians; last two columns: times the first row's",
        "without Range, as of zipstream-ng, the whole is sent again and what is before the part dropped",
    ]
    if warning := load_warning():
        notes.append(warning)
    rows = [
        _Measurement(way, problem=f"{origin.name} does not copy")
        if way.needs_copies and origin.name != "SeaweedFS"
        else _measure(session, origin, dataset, way, rest_bytes)
        for way in _ways(session)
    ]
    print(render(title, _COLUMNS, [_line(row, rows[0]) for row in rows], notes), flush=True)
    for row in rows:
        rounds = [asdict(one) for one in row.rounds]
        named = {"title": title, "contender": row.way.contender.name, "rest_bytes": rest_bytes}
        session.record("resume", named | {"rounds": rounds, "problem": row.problem})


@contextmanager
def _origin(session: Session, name: str, dataset: Dataset) -> Iterator[Origin]:
    """With the dataset in it, of which no CRC is stored."""
    session.corpus.add(dataset)
    with session.origin(name, (warm(),)) as origin:
        if name == "seaweedfs":  # nginx serves the corpus
            upload(origin, session.corpus, dataset, Manner.PLAIN, prefix=dataset.prefix)
        yield origin


def run(session: Session) -> None:
    """Three parts of one archive (quick: one) from each origin; then the CRCs."""
    quick = session.options.quick
    dataset = _dataset(quick=quick)
    total = dataset.total_bytes
    parts = (("10 %", total // 10), ("1 %", total // 100), ("1 KiB", KIB))
    for name in session.options.origins:
        try:
            with _origin(session, name, dataset) as origin:
                for part, rest_bytes in parts[1:2] if quick else parts:
                    _table(session, origin, dataset, part, rest_bytes)
        except UnavailableError as error:
            print(f"\nresume from {name}: {error}")
    crc_ways.run(session)
