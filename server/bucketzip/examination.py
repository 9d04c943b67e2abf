"""What `bucketzip doctor` looks with: built by hand, for one look, with the parts that downloads and jobs use.

credentials -> S3 client -> ranged reader
                         -> one bucket, the endpoint, STS
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bucketzip.account import LIST_CONNECTIONS, reader_metrics
from bucketzip.metrics import Metrics
from bucketzip.s3.client import S3, Where, default_region, open_s3, tls_context
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.examination import S3Bucket, S3Endpoint
from bucketzip.s3.probe import Prober
from bucketzip.s3.reader import S3RangeReader
from bucketzip.s3.reader_options import ReaderLimits
from bucketzip.s3.scratch import Place, Scratch
from bucketzip.s3.whoami import S3Whoami
from bucketzip.settings import Settings
from bucketzip.state.database import open_database
from bucketzip.state.probes import Probes
from bucketzip.state.processes import join_processes


@dataclass(frozen=True)
class Examination:
    """All that checks look with."""

    region: str
    """Of this machine."""
    who: S3Whoami
    endpoint: S3Endpoint
    reader: S3RangeReader
    _s3: S3
    _prober: Prober

    def bucket(self, name: str) -> S3Bucket:
        """One bucket; raises Unsupported."""
        return S3Bucket(self._s3, name, self._prober)


@asynccontextmanager
async def open_examination(settings: Settings) -> AsyncIterator[Examination]:
    """It keeps nothing: the state directory of the settings is not touched, and verdicts are made anew."""
    async with AsyncExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bucketzip-doctor-")))
        database = await stack.enter_async_context(open_database(state))
        keeper = await stack.enter_async_context(CredentialKeeper().running())
        region = await default_region(keeper)
        s3 = await stack.enter_async_context(open_s3(keeper, max_connections=LIST_CONNECTIONS, where=Where(region)))
        processes = await stack.enter_async_context(join_processes(state))
        scratch = await stack.enter_async_context(Scratch(s3, None, processes, Place()).running())
        reader = S3RangeReader(
            s3,
            keeper,
            reader_metrics(Metrics()),
            ReaderLimits(connections=settings.s3_connections, stall_seconds=settings.s3_stall_seconds),
            await asyncio.to_thread(tls_context),
        )
        yield Examination(
            region,
            S3Whoami(keeper, region),
            S3Endpoint(s3),
            await stack.enter_async_context(reader.running()),
            s3,
            Prober(s3, scratch, Probes(database)),
        )
