"""One read as the reader keeps it: a fetch, and where it stands."""

import asyncio
from dataclasses import dataclass

from bucketzip.jobs.spending import Spending
from bucketzip.s3.endpoint import Waiter
from bucketzip.s3.rangeget import RangeConnection
from bucketzip.s3.retry import Tries
from bucketzip.s3.signing import Credentials, Route
from bucketzip.transfer.fetch import Fetch


@dataclass(eq=False, kw_only=True)
class Read(Waiter):
    """It waits for a connection, is on one, or pauses between two tries. A hedge is one too, of the same fetch."""

    fetch: Fetch
    tries: Tries
    route: Route | None = None
    keys: Credentials | None = None
    connection: RangeConnection | None = None
    timer: asyncio.TimerHandle | None = None
    began: float = 0.0
    """When the request was sent."""
    received: int = 0
    """Bytes of the fetch that had come before the request was sent."""
    begun_at: float = 0.0
    """When the first byte of a large body came; 0 before that."""
    seen_at: float = 0.0
    seen_bytes: int = 0
    """Where the body stood when its pace was last looked at."""
    rival: "Read | None" = None
    """The other request for the same bytes."""
    spending: Spending | None = None
    """Of the job that it is for, which counts the requests."""
    hedged: bool = False
    """It had one, or is one: there is no third."""
    over: bool = False
