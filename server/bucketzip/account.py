"""One account, built by hand: the server's own and those of credentials that came with a request, all alike.

credentials -> S3 client -> ranged readers -> engine -> archives that are sent
                         -> catalog, uploads, CRCs by copies
"""

import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from bucketzip.in_memory import File, FilesInMemory
from bucketzip.jobs.accounts import WritingAccount
from bucketzip.metrics import Metrics
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.endpoints import AllowedEndpoints
from bucketzip.plan.request import KeyCredentials
from bucketzip.plan.sealing import Given, Sealing
from bucketzip.s3.browsing import S3Browser
from bucketzip.s3.client import Where, open_s3
from bucketzip.s3.copied_crcs import CopiedCrcs
from bucketzip.s3.credentials import CredentialKeeper, these_keys
from bucketzip.s3.errors import Whose
from bucketzip.s3.listing import S3Catalog
from bucketzip.s3.multipart import S3Multipart
from bucketzip.s3.probe import Prober
from bucketzip.s3.reader import S3RangeReader
from bucketzip.s3.reader_options import ReaderLimits, ReaderMetrics
from bucketzip.s3.resolver import Resolver
from bucketzip.s3.roles import assuming
from bucketzip.s3.scratch import Place, Scratch
from bucketzip.s3.signer import S3Signer
from bucketzip.s3.small_objects import S3SmallObjects
from bucketzip.s3.versions import Versions
from bucketzip.settings import Settings
from bucketzip.state.crcs import CrcTable
from bucketzip.state.database import Database
from bucketzip.state.manifests import Manifests
from bucketzip.state.probes import Probes, ScratchUploads
from bucketzip.state.processes import Processes
from bucketzip.transfer.blocks import BlockPool
from bucketzip.transfer.budget import Budget
from bucketzip.transfer.opened import OpenArchives
from bucketzip.transfer.pump import Engine

LIST_CONNECTIONS = 64
THEIRS = Whose("the keys that came with the request", given=True)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all accounts of a process have in common. Nothing of it is signed."""

    settings: Settings
    metrics: Metrics
    database: Database
    manifests: Manifests
    processes: Processes
    budget: Budget
    tls: ssl.SSLContext
    blocks: BlockPool = field(default_factory=BlockPool)
    readers: set[S3RangeReader] = field(default_factory=set)
    """Of the accounts that are open."""
    writers: set[S3Multipart] = field(default_factory=set)
    """Of the same."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose account it is, and where."""

    keeper: CredentialKeeper
    where: Where
    name: str = ""
    """What is known of its rights is kept by it; nothing for the server itself."""
    origin: str = ""
    """As `plan.accounts.Account` has it."""


def identity_of(given: Given, own: Identity, sealing: Sealing, endpoints: AllowedEndpoints) -> Identity:
    """Of credentials that came with a request."""
    region = own.where.region
    if not isinstance(given, KeyCredentials):
        find = assuming(own.keeper, given.role_arn, given.external_id, region)
        keeper = CredentialKeeper(find, Whose(f"the role {given.role_arn}", given=False))
        return Identity(keeper=keeper, where=Where(region=region), name=sealing.name(given))
    token = given.session_token.get_secret_value() if given.session_token is not None else None
    keys = these_keys(given.access_key_id, given.secret_access_key.get_secret_value(), token)
    where = Where(region=given.region or region)
    if given.endpoint is not None:
        where = where._replace(endpoint=given.endpoint, permits=endpoints.permits)
    return Identity(
        keeper=CredentialKeeper(keys, THEIRS),
        where=where,
        name=sealing.name(given),
        origin=(given.endpoint or "").rstrip("/").lower(),
    )


@asynccontextmanager
async def open_account(shared: Shared, whose: Identity) -> AsyncIterator[WritingAccount]:
    """Started top to bottom, stopped bottom to top."""
    settings, metrics, database = shared.settings, shared.metrics, shared.database
    async with AsyncExitStack() as stack:
        keeper = await stack.enter_async_context(whose.keeper.running())
        s3 = await stack.enter_async_context(
            open_s3(
                keeper,
                max_connections=LIST_CONNECTIONS,
                requests=metrics.api_requests,
                failures=metrics.api_failures,
                where=whose.where,
            )
        )
        memory = CrcTable(database, whose.origin, partial(_count_lookups, metrics))
        # An upload that is left behind can be aborted after a crash only with credentials that are still there.
        noted = None if whose.name else ScratchUploads(database)
        place = Place() if whose.name else _place(settings.scratch)
        scratch = await stack.enter_async_context(Scratch(s3, noted, shared.processes, place).running())
        prober = Prober(s3, scratch, Probes(database), whose.name)
        copies = settings.scratch == "auto" or not (whose.name or settings.scratch == "off")
        remote = CopiedCrcs(scratch, prober) if copies else None
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
                shared.tls,
                resolver=Resolver(whose.where.permits) if whose.where.permits is not None else None,
            ).running()
        )
        multipart = S3Multipart(s3, prober)
        shared.readers.add(reader)
        shared.writers.add(multipart)
        stack.callback(shared.readers.discard, reader)
        stack.callback(shared.writers.discard, multipart)
        engine = Engine(
            reader,
            shared.budget,
            shared.blocks,
            range_bytes=settings.s3_range_bytes,
            reads_at_once=settings.s3_connections,
            stall_seconds=settings.client_stall_seconds,
        )
        yield WritingAccount(
            catalog=S3Catalog(s3, keeper, Versions(s3, wanted=settings.pin_versions)),
            browser=S3Browser(s3),
            signer=S3Signer(s3, whose.where.region),
            discovery=lambda: Discovery(memory, remote, most_copied_bytes=settings.scratch_bytes),
            engine=engine,
            archives=await stack.enter_async_context(
                OpenArchives(shared.manifests.open, engine, memory, remote).running()
            ),
            crc_memory=memory,
            small_objects=S3SmallObjects(s3),
            origin=whose.origin,
            multipart=multipart,
        )


@asynccontextmanager
async def open_account_of_files(
    files: Sequence[File], shared: Shared, whose: Identity
) -> AsyncIterator[WritingAccount]:
    """The account, with files of this process in place of its objects: they go into its buckets."""
    objects = FilesInMemory(files, mtime=int(time.time()))
    async with open_account(shared, whose) as account:
        engine = replace(account.engine, reader=objects)
        archives = OpenArchives(shared.manifests.open, engine, account.crc_memory, None)
        async with archives.running():
            yield replace(account, catalog=objects, engine=engine, archives=archives, copies=False)


def _count_lookups(metrics: Metrics, hits: int, misses: int) -> None:
    metrics.crc_lookups.labels("hit").inc(hits)
    metrics.crc_lookups.labels("miss").inc(misses)


def _place(scratch: str) -> Place:
    """Where scratch uploads go, by the setting."""
    if scratch in {"auto", "off"}:
        return Place()
    bucket, _, prefix = scratch.removeprefix("s3://").partition("/")
    return Place(bucket, prefix)
