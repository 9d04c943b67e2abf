"""What every process of a machine has, whatever it does with it: built here by hand, once, without HTTP.

credentials -> S3 client -> ranged readers -> engine (budget, blocks) -> archives that are sent
                         -> catalog        -> planning -> manifests, links, jobs -> runner
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bucketzip.jobs.archive_job import ArchivePlanning
from bucketzip.jobs.archives import Archives
from bucketzip.jobs.execution import BUILDS_AT_ONCE, COPIES_AT_ONCE, Widths
from bucketzip.jobs.job_run import Tools
from bucketzip.jobs.runner import Runner
from bucketzip.jobs.undo import Undo
from bucketzip.metrics import Metrics
from bucketzip.plan.catalog import Catalog
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.downloads import Downloads
from bucketzip.s3.client import open_s3, tls_context
from bucketzip.s3.copied_crcs import CopiedCrcs
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.listing import S3Catalog
from bucketzip.s3.multipart import S3Multipart
from bucketzip.s3.probe import Prober
from bucketzip.s3.reader import S3RangeReader
from bucketzip.s3.reader_options import ReaderLimits, ReaderMetrics
from bucketzip.s3.scratch import Place, Scratch
from bucketzip.s3.versions import Versions
from bucketzip.settings import Settings
from bucketzip.state.capabilities import Capabilities
from bucketzip.state.crcs import CrcTable
from bucketzip.state.database import open_database
from bucketzip.state.instance_key import load_instance_key
from bucketzip.state.jobs import Jobs
from bucketzip.state.links import Links
from bucketzip.state.manifests import Manifests
from bucketzip.state.probes import Probes, ScratchUploads
from bucketzip.state.processes import join_processes
from bucketzip.state.receipts import Receipts
from bucketzip.transfer.budget import Budget
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.opened import OpenArchives
from bucketzip.transfer.ports import CrcMemory
from bucketzip.transfer.pump import Engine

LIST_CONNECTIONS = 64


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The parts that are used from outside. `downloads` and `runner` do nothing until their `running` is entered."""

    catalog: Catalog
    discovery: Callable[[], Discovery]
    """A new one for each plan."""
    crc_memory: CrcMemory
    manifests: Manifests
    engine: Engine
    compressor: Compressor
    archives: OpenArchives
    downloads: Downloads
    jobs: Archives
    runner: Runner
    undo: Undo
    check_credentials: Callable[[], object]
    """Raises what keeps this process from having any."""


@asynccontextmanager
async def open_machine(settings: Settings, metrics: Metrics) -> AsyncIterator[Machine]:
    """Started top to bottom, stopped bottom to top."""
    async with AsyncExitStack() as stack:
        manifests = await asyncio.to_thread(
            Manifests, settings.state_dir / "manifests", most_bytes=settings.manifests_bytes
        )
        database = await stack.enter_async_context(open_database(settings.state_dir))
        key = await asyncio.to_thread(load_instance_key, settings.state_dir)
        processes = await stack.enter_async_context(join_processes(settings.state_dir))
        memory = CrcTable(database)

        keeper = await stack.enter_async_context(CredentialKeeper().running())
        s3 = await stack.enter_async_context(
            open_s3(keeper, max_connections=LIST_CONNECTIONS, requests=metrics.api_requests)
        )
        scratch = await stack.enter_async_context(
            Scratch(s3, ScratchUploads(database), processes, _place(settings.scratch)).running()
        )
        prober = Prober(s3, scratch, Probes(database))
        remote = None if settings.scratch == "off" else CopiedCrcs(scratch, prober)
        catalog = S3Catalog(s3, keeper, Versions(s3, wanted=settings.pin_versions))
        reader = await stack.enter_async_context(
            S3RangeReader(
                s3,
                keeper,
                ReaderMetrics(
                    metrics.range_get_seconds,
                    metrics.range_gets,
                    metrics.retries,
                    metrics.received_bytes,
                    metrics.hedges,
                    metrics.hedges_won,
                ),
                ReaderLimits(
                    connections=settings.s3_connections,
                    tries=settings.s3_tries,
                    stall_seconds=settings.s3_stall_seconds,
                    slow_down_seconds=settings.s3_slow_down_seconds,
                    hedging=settings.s3_hedging,
                ),
                await asyncio.to_thread(tls_context),
            ).running()
        )
        budget = Budget(settings.memory_bytes // settings.processes, now=time.monotonic)
        metrics.budget_bytes.set(budget.total_bytes)
        metrics.budget_used_bytes.set_function(lambda: budget.used_bytes)
        metrics.connections.set_function(lambda: reader.open_connections)
        metrics.waiting.set_function(lambda: reader.waiting)
        metrics.concurrency_limit.set_function(lambda: reader.concurrency_limit)

        engine = Engine(
            reader,
            budget,
            range_bytes=settings.s3_range_bytes,
            reads_at_once=settings.s3_connections,
            stall_seconds=settings.client_stall_seconds,
        )
        compressor = Compressor(
            max(1, (os.cpu_count() or 1) // settings.processes),
            in_bytes=metrics.deflate_in_bytes,
            out_bytes=metrics.deflate_out_bytes,
        )
        stack.callback(compressor.close)
        metrics.deflate_threads_busy.set_function(lambda: compressor.busy)
        archives = await stack.enter_async_context(OpenArchives(manifests.open, engine, memory, remote).running())

        def discovery() -> Discovery:
            return Discovery(memory, remote, most_copied_bytes=settings.scratch_bytes)

        jobs, multipart = Jobs(database), S3Multipart(s3, prober)
        tools = Tools(
            jobs,
            Receipts(database),
            ArchivePlanning(catalog, manifests, memory, multipart, most_built_bytes=settings.part_bytes),
            archives,
            engine,
            multipart,
            Widths(asyncio.Semaphore(COPIES_AT_ONCE), asyncio.Semaphore(BUILDS_AT_ONCE)),
            metrics.archives_ended,
            settings.job_patience_seconds,
        )
        runner = Runner(tools, processes.own)
        yield Machine(
            catalog=catalog,
            discovery=discovery,
            crc_memory=memory,
            manifests=manifests,
            engine=engine,
            compressor=compressor,
            archives=archives,
            downloads=Downloads(
                Links(database),
                manifests,
                catalog,
                processes,
                Capabilities(key),
                discovery=discovery,
                ways=metrics.crcs,
                sweep_jobs=lambda: jobs.sweep(settings.jobs_kept_seconds),
            ),
            jobs=Archives(jobs, wake=runner.wake, outcomes=metrics.archives_ended),
            runner=runner,
            undo=tools.undo,
            check_credentials=keeper.current,
        )


def _place(scratch: str) -> Place:
    """Where scratch uploads go, by the setting."""
    if scratch in {"auto", "off"}:
        return Place()
    bucket, _, prefix = scratch.removeprefix("s3://").partition("/")
    return Place(bucket, prefix)
