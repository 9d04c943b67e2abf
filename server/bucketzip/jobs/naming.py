"""A key that is free, where an archive may not replace what is there."""

from itertools import count

from bucketzip.jobs.ports import Destination, Multipart


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
