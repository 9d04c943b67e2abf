"""What every process of a machine has, whatever it does with it: built here by hand, once, without HTTP.

account (`account.py`: credentials, and S3 as they show it) -> planning -> manifests, links, jobs -> runner
"""

import asyncio
import functools
import os
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bucketzip.account import Identity, Shared, identity_of, open_account
from bucketzip.accounts import OpenAccounts
from bucketzip.jobs.accounts import WritingAccount
from bucketzip.jobs.archive_job import ArchivePlanning
from bucketzip.jobs.archives import Archives
from bucketzip.jobs.kinds import Tools
from bucketzip.jobs.links import ResultLinks
from bucketzip.jobs.ports import JobMetrics
from bucketzip.jobs.runner import Runner
from bucketzip.jobs.undo import Leftovers
from bucketzip.jobs.widths import Widths
from bucketzip.metrics import Metrics
from bucketzip.networks import parse_networks
from bucketzip.notify.acceptance import Acceptance
from bucketzip.notify.callbacks import Callbacks
from bucketzip.notify.event import Events
from bucketzip.notify.mail import Mail, MailServer
from bucketzip.notify.sender import Sender
from bucketzip.plan.accounts import Accounts
from bucketzip.plan.activity import Activity
from bucketzip.plan.downloads import Downloads
from bucketzip.plan.endpoints import AllowedEndpoints
from bucketzip.plan.sealing import Given, Sealing
from bucketzip.s3.client import Where, default_region, tls_context
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.multipart import PARTS_AT_ONCE
from bucketzip.settings import PREFIX, Settings
from bucketzip.state.capabilities import Capabilities
from bucketzip.state.cursors import Cursors
from bucketzip.state.database import open_database
from bucketzip.state.deliveries import Deliveries, Kind
from bucketzip.state.instance_key import load_instance_key
from bucketzip.state.jobs import Jobs
from bucketzip.state.links import Links
from bucketzip.state.manifests import Manifests
from bucketzip.state.probes import Probes
from bucketzip.state.processes import join_processes
from bucketzip.state.receipts import Receipts
from bucketzip.state.running import RunningDownloads
from bucketzip.state.tokens import Tokens
from bucketzip.state.users import Users
from bucketzip.transfer.budget import Budget
from bucketzip.transfer.compressor import Compressor
from bucketzip.watch import Watch

OpenOwn = Callable[[Shared, Identity], AbstractAsyncContextManager[WritingAccount]]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The parts that are used from outside. `downloads` and `runner` do nothing until their `running` is entered."""

    own: WritingAccount
    """The account of the server itself."""
    accounts: Accounts[WritingAccount]
    sealing: Sealing
    manifests: Manifests
    compressor: Compressor
    downloads: Downloads
    jobs: Archives
    deliveries: Deliveries
    result_links: ResultLinks
    runner: Runner
    leftovers: Leftovers
    users: Users
    tokens: Tokens
    capabilities: Capabilities
    cursors: Cursors
    probes: Probes
    check_credentials: Callable[[], object]
    """Raises what keeps this process from having any of its own."""


@asynccontextmanager
async def open_machine(
    settings: Settings, metrics: Metrics, identity: Identity | None = None, open_own: OpenOwn = open_account
) -> AsyncIterator[Machine]:
    """Started top to bottom, stopped bottom to top.

    `identity` is who it is, by default whoever botocore finds; `open_own` opens the account of that.
    """
    async with AsyncExitStack() as stack:
        manifests = await asyncio.to_thread(
            Manifests, settings.state_dir / "manifests", most_bytes=settings.manifests_bytes
        )
        database = await stack.enter_async_context(open_database(settings.state_dir))
        key = await asyncio.to_thread(load_instance_key, settings.state_dir)
        capabilities = Capabilities(key)
        endpoints = AllowedEndpoints(settings.allowed_endpoints)
        sealing = Sealing(key, endpoints)
        shared = Shared(
            settings=settings,
            metrics=metrics,
            database=database,
            manifests=manifests,
            processes=await stack.enter_async_context(join_processes(settings.state_dir)),
            budget=Budget(settings.memory_bytes // settings.processes, now=time.monotonic),
            tls=await asyncio.to_thread(tls_context),
        )
        _measure(shared)
        compressor = Compressor(
            max(1, (os.cpu_count() or 1) // settings.processes),
            in_bytes=metrics.deflate_in_bytes,
            out_bytes=metrics.deflate_out_bytes,
        )
        stack.callback(compressor.close)
        metrics.deflate_threads_busy.set_function(lambda: compressor.busy)
        ours = identity or await _by_default()
        metrics.credentials_expiry.set_function(lambda: ours.keeper.expiry)
        own = await stack.enter_async_context(open_own(shared, ours))

        def open_given(given: Given) -> AbstractAsyncContextManager[WritingAccount]:
            return open_account(shared, identity_of(given, ours, sealing, endpoints))

        accounts = await stack.enter_async_context(OpenAccounts(own, sealing, open_given).running())
        jobs = Jobs(database, resume_seconds=settings.resume_seconds)
        await stack.enter_async_context(Watch(metrics, database, jobs, manifests, settings.state_dir).running())
        links, deliveries = Links(database), Deliveries(database)
        networks, tls = parse_networks(settings.callback_networks), functools.cache(ssl.create_default_context)
        acceptance = Acceptance(networks, _missing_for_mail(settings))
        sender = Sender(
            deliveries,
            Events(jobs, links, capabilities, settings.public_url),
            {Kind.CALLBACK: Callbacks(key, networks, tls), Kind.EMAIL: Mail(_mail_server(settings), tls)},
            metrics.deliveries,
        )
        receipts, widths = Receipts(database), Widths.of(settings.part_bytes)

        def tools(account: WritingAccount) -> Tools:
            return Tools(
                jobs,
                receipts,
                ArchivePlanning(
                    account,
                    manifests,
                    most_built_bytes=settings.part_bytes,
                    compressed_part_bytes=settings.compressed_part_bytes,
                    most_entries=settings.most_entries,
                ),
                account.archives,
                account.engine,
                account.multipart,
                compressor,
                widths,
                JobMetrics(metrics.archives_ended, metrics.archive_seconds, metrics.archive_bytes),
                settings.job_patience_seconds,
            )

        leftovers = Leftovers(jobs, accounts)
        runner = Runner(
            jobs,
            accounts,
            tools,
            shared.processes.own,
            leftovers=leftovers,
            beside=sender.run,
            ended=metrics.archives_ended,
        )
        downloads = Downloads(
            links,
            manifests,
            accounts,
            shared.processes,
            Activity(RunningDownloads(database, shared.processes)),
            capabilities=capabilities,
            sealing=sealing,
            ways=metrics.crcs,
            sweep_jobs=lambda: jobs.sweep(settings.jobs_kept_seconds),
            check=acceptance.check,
            plans_at_once=settings.plannings_at_once,
            most_entries=settings.most_entries,
        )
        metrics.plans_active.set_function(lambda: downloads.planning)
        yield Machine(
            own=own,
            accounts=accounts,
            sealing=sealing,
            manifests=manifests,
            compressor=compressor,
            downloads=downloads,
            jobs=Archives(
                jobs,
                sealing,
                wake=runner.wake,
                capabilities=capabilities,
                outcomes=metrics.archives_ended,
                check=acceptance.check,
                queued_per_user=settings.queued_per_user,
            ),
            result_links=ResultLinks(jobs, accounts, capabilities),
            deliveries=deliveries,
            runner=runner,
            leftovers=leftovers,
            users=Users(database),
            tokens=Tokens(key),
            capabilities=capabilities,
            cursors=Cursors(key),
            probes=Probes(database),
            check_credentials=ours.keeper.current,
        )


async def _by_default() -> Identity:
    keeper = CredentialKeeper()
    return Identity(keeper=keeper, where=Where(await default_region(keeper)))


def _measure(shared: Shared) -> None:
    """What is counted somewhere already, over all accounts."""
    metrics, readers, budget = shared.metrics, shared.readers, shared.budget
    metrics.budget_bytes.set(budget.total_bytes)
    metrics.budget_used_bytes.set_function(lambda: budget.used_bytes)
    metrics.waiting_for_memory.set_function(lambda: budget.hungry)
    metrics.threads.set_function(threading.active_count)
    metrics.connections.set_function(lambda: sum(each.open_connections for each in readers))
    metrics.waiting.set_function(lambda: sum(each.waiting for each in readers))
    most = shared.settings.s3_connections
    writers = shared.writers
    metrics.parts_limit.set_function(lambda: min((each.parts_limit for each in writers), default=PARTS_AT_ONCE))
    metrics.concurrency_limit.set_function(lambda: min((each.concurrency_limit for each in readers), default=most))


def _missing_for_mail(settings: Settings) -> tuple[str, ...]:
    """The settings that mail wants and that are not there; a mail without a link is worth nothing."""
    wanted = ("smtp_host", "mail_from", "public_url")
    return tuple(f"{PREFIX}{name.upper()}" for name in wanted if not getattr(settings, name))


def _mail_server(settings: Settings) -> MailServer | None:
    if _missing_for_mail(settings):
        return None
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value(),
        sender=settings.mail_from,
    )
