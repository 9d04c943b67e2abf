"""What each way to a CRC-32 costs: requests and their price at planning, time, and whether descriptors are left."""

import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

from bench import cores, curl
from bench.contenders.base import Link
from bench.contenders.bucketzip import Bucketzip
from bench.counters import counters
from bench.datasets import MIB, Dataset
from bench.measure import DOWNLOAD_LIMIT_SECONDS
from bench.origins.base import Origin
from bench.origins.localstack import localstack_origin
from bench.processes import UnavailableError
from bench.session import Session, load_warning
from bench.table import Row, ratio, render
from bench.uploads import Manner, upload
from bench.verify import verify

_STORES = ("localstack", "seaweedfs")
_REQUESTS = "bucketzip_s3_api_requests_total"
_WAYS_PLANNED = "bucketzip_planned_crcs_total"
_HAS_DESCRIPTOR = 1 << 3  # the general purpose bit of ZIP entries
_OBJECT_BYTES = 12 * MIB
#: What a price is told for.
_PRICED_OBJECTS = 1000
#: Dollars a request in us-east-1, S3 Standard: PUT, COPY, POST and LIST; GET and all others; DELETE.
_PUT_PRICE, _GET_PRICE, _DELETE_PRICE = 5e-6, 4e-7, 0.0


@dataclass(frozen=True, slots=True)
class _Way:
    #: As in `bucketzip_planned_crcs_total`.
    name: str
    manner: Manner
    options: tuple[str, ...] = ()
    #: The first link was for a copy of each; the second is measured.
    second_link: bool = False


_WAYS = (
    _Way("stored", Manner.STORED),
    _Way("rebuilt", Manner.COMPOSITE),
    _Way("copied", Manner.PLAIN),
    _Way("cached", Manner.PLAIN, second_link=True),
    _Way("computed", Manner.PLAIN, ("--scratch", "off")),
)


@dataclass(frozen=True, slots=True)
class _Round:
    plan_seconds: float
    requests: dict[str, int]
    descriptors: int


@dataclass(slots=True)
class _Measurement:
    way: _Way
    rounds: list[_Round] = field(default_factory=list)
    problem: str | None = None

    @property
    def plan_seconds(self) -> float:
        return median(one.plan_seconds for one in self.rounds)


def _price_of(operation: str) -> float:
    if operation.startswith("Abort"):
        return _DELETE_PRICE
    asks = ("Get", "Head")
    return _GET_PRICE if operation.startswith(asks) else _PUT_PRICE


def _price(requests: Mapping[str, int], objects: int) -> float:
    """Dollars for 1,000 objects: requests for each object grow with their number, those for all of them do not."""
    return sum(
        _price_of(operation) * (count * _PRICED_OBJECTS / objects if count >= objects else count)
        for operation, count in requests.items()
    )


def _descriptors(session: Session, link: Link, objects: Dataset, run: Path) -> int:
    """Download and check the archive; how many of its entries have a descriptor."""
    output = run / "archive.zip"
    try:
        fetch = curl.start(link.urls, limit_seconds=DOWNLOAD_LIMIT_SECONDS, output=output).wait()
        if problem := curl.problem(fetch, least_bytes=objects.total_bytes, usual_bytes=None):
            raise UnavailableError(problem)
        verify(output, session.corpus.checksums(objects))
        with zipfile.ZipFile(output) as archive:
            return sum(bool(entry.flag_bits & _HAS_DESCRIPTOR) for entry in archive.infolist())
    finally:
        output.unlink(missing_ok=True)


def _round(session: Session, origin: Origin, primer: Dataset, objects: Dataset, way: _Way) -> _Round:
    """A new process, which tries the endpoint's copies with the primer."""
    run = session.directory(way.name)
    stored = replace(objects, name=way.manner.name.lower())
    with Bucketzip(options=way.options).serve(origin, session.work, run) as server:
        earlier = server.plan(primer)
        if way.second_link:
            server.plan(stored)
        before = counters(earlier)
        began = time.perf_counter()
        link = server.plan(stored)
        seconds = time.perf_counter() - began
        came = counters(link) - before
        planned = came.by_label(_WAYS_PLANNED)
        if planned != {way.name: len(objects.sizes)}:
            raise UnavailableError(
                f"{origin.name} has them planned otherwise: {', '.join(f'{n} {name}' for name, n in planned.items())}"
            )
        return _Round(seconds, dict(came.by_label(_REQUESTS)), _descriptors(session, link, objects, run))


def _measure(session: Session, origin: Origin, primer: Dataset, objects: Dataset, way: _Way) -> _Measurement:
    row = _Measurement(way)
    try:
        for _ in range(session.options.rounds):
            row.rounds.append(_round(session, origin, primer, objects, way))
    except UnavailableError as error:
        row.problem = str(error)
    return row


def _table(session: Session, origin: Origin, primer: Dataset, objects: Dataset) -> None:
    count = len(objects.sizes)
    title = f"resume: planning {objects.title} from {origin.title}, by where their CRCs come from"
    notes = [
        cores.describe(),
        "requests of one plan; their list price for 1,000 objects; median seconds; descriptors in the archive",
    ]
    if warning := load_warning():
        notes.append(warning)
    rows = [_measure(session, origin, primer, objects, way) for way in _WAYS]
    done = [row for row in rows if not row.problem]
    operations = sorted({operation for row in done for operation in row.rounds[0].requests})

    def cells(row: _Measurement) -> tuple[str, ...]:
        first = row.rounds[0]
        return (
            *(str(first.requests.get(operation, 0)) for operation in operations),
            f"{_price(first.requests, count):.6f}",
            str(first.descriptors),
            f"{row.plan_seconds:.3f}",
            ratio(row.plan_seconds, done[0].plan_seconds),
        )

    lines = [Row(row.way.name, problem=row.problem) if row.problem else Row(row.way.name, cells(row)) for row in rows]
    print(render(title, (*operations, "$ for 1,000", "descriptors", "plan s", "plan"), lines, notes), flush=True)
    for row in rows:
        rounds = [asdict(one) for one in row.rounds]
        session.record("crcs", {"title": title, "way": row.way.name, "rounds": rounds, "problem": row.problem})


@contextmanager
def _origin(session: Session, name: str, primer: Dataset, objects: Dataset) -> Iterator[Origin]:
    """With the objects in it, once in each manner below a prefix of its name."""
    with ExitStack() as stack:
        if name == "localstack":
            origin = stack.enter_context(localstack_origin(session.directory(name)))
        else:
            origin = stack.enter_context(session.origin(name, ()))
        upload(origin, session.corpus, primer, Manner.PLAIN, prefix=primer.prefix)
        for manner in Manner:
            upload(origin, session.corpus, objects, manner, prefix=f"{manner.name.lower()}/")
        yield origin


def run(session: Session) -> None:
    """A table for each store."""
    count = 10 if session.options.quick else 50
    primer = Dataset("primer", "1 x 12 MiB", (_OBJECT_BYTES,))
    objects = Dataset("objects", f"{count} x {_OBJECT_BYTES // MIB} MiB", (_OBJECT_BYTES,) * count)
    for dataset in (primer, objects):
        session.corpus.add(dataset)
    for name in _STORES:
        try:
            with _origin(session, name, primer, objects) as origin:
                _table(session, origin, primer, objects)
        except UnavailableError as error:
            print(f"\nresume from {name}: {error}")
