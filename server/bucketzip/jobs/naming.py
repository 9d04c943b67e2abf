"""A key that is free, where an archive may not replace what is there."""

from itertools import count

from bucketzip.errors import DestinationExists
from bucketzip.jobs import requested
from bucketzip.jobs.ports import Destination, Multipart
from bucketzip.plan.request import ArchiveRequest


async def free_destination(multipart: Multipart, request: ArchiveRequest) -> Destination:
    """Where the archive goes, by what is there already; raises DestinationExists."""
    destination = requested.destination(request)
    if request.if_exists == "rename":
        return await free_key(multipart, destination)
    if request.if_exists == "fail" and await multipart.look(destination) is not None:
        raise DestinationExists(f"{destination.url} is there already; name another")
    return destination


async def free_key(multipart: Multipart, destination: Destination) -> Destination:
    """The destination, or the first of `name (2).zip`, `name (3).zip` ... under which nothing is."""
    folder, slash, name = destination.key.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    candidate = destination
    for number in count(2):
        if await multipart.look(candidate) is None:
            break
        candidate = destination._replace(key=f"{folder}{slash}{stem} ({number}){dot}{extension}")
    return candidate
