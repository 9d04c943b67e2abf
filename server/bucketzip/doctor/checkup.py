"""All checks there are, each behind those that it needs the answers of."""

from dataclasses import dataclass
from pathlib import Path

from bucketzip.doctor.finding import Check
from bucketzip.doctor.identity import identity_checks
from bucketzip.doctor.looked import Looked
from bucketzip.doctor.machine import machine_checks
from bucketzip.doctor.ports import Endpoint, Instance, Whoami
from bucketzip.doctor.reaching import clock_check, endpoint_check, path_check, signing_check
from bucketzip.doctor.reading import SCRATCH, bucket_check, copies_check, list_check, reading_checks
from bucketzip.doctor.writing import upload_checks, writing_checks
from bucketzip.transfer.ports import RangeReader


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is looked at, whatever the buckets are."""

    state_dir: Path
    s3_connections: int
    region: str
    """Of this machine."""
    who: Whoami
    endpoint: Endpoint
    instance: Instance
    reader: RangeReader


def checkup(here: Surroundings, source: Looked | None, destination: Looked | None) -> list[Check]:
    """The checks, for `doctor.examine`."""
    credentials, principal = identity_checks(here.who, sts=here.endpoint.has_sts)
    endpoint = endpoint_check(here.endpoint)
    clock = clock_check(here.endpoint, after=(endpoint, credentials))
    keys = signing_check(here.endpoint, after=(clock,))
    checks = [*machine_checks(here.state_dir, here.s3_connections), credentials, principal, endpoint, clock, keys]
    get: tuple[Check, ...] = ()
    if source is not None:
        there = bucket_check(source, here.region, after=(keys,))
        listed = list_check(source, after=(there,))
        reading = reading_checks(source, here.reader, listed)
        get = tuple(reading[:1])
        path = path_check(source, here.endpoint, here.instance, after=(there,))
        checks += [there, path, listed, *reading, *upload_checks(source.at(SCRATCH), after=(there,))]
    if destination is not None:
        there = bucket_check(destination, here.region, after=(keys,))
        checks += [there, *writing_checks(destination, after=(there,))]
        if source is not None and source.bucket.name != destination.bucket.name:
            checks.append(copies_check(source, destination.bucket.name, after=(there, *get)))
    return checks
