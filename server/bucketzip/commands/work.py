"""`bucketzip work`: the archives that are to be written into buckets, without HTTP."""

import argparse
import asyncio
import logging
import os

from bucketzip.commands.settings import add_settings, read_settings, working_in
from bucketzip.commands.signals import Interrupted, interruptible
from bucketzip.commands.systemd import notify, watched
from bucketzip.exposition import Expositions, Format
from bucketzip.logs import configure
from bucketzip.machine import open_machine
from bucketzip.metrics import Metrics
from bucketzip.settings import Settings

_log = logging.getLogger(__name__)

NOT_HERE = (
    "host",
    "port",
    "tls_certificate",
    "tls_key",
    "tls_self_signed",
    "secret_parameter",
    "state_volume",
    "client_stall_seconds",
    "planning_wait_seconds",
    "run_jobs",
    "jobs_kept_seconds",
    "drain_seconds",
)
"""Settings of the HTTP server alone."""

_EXAMPLES = """examples:
  bucketzip serve --state-dir /var/lib/bucketzip --run-jobs false     takes the requests: POST /archives
  bucketzip work  --state-dir /var/lib/bucketzip                      does the work, in a process of its own

Both need the same state directory. Of several processes that could run archives one does, and another takes over when
that one ends. SIGTERM ends it within 10 seconds; what is not done stays, and the next start goes on with it.

Each option is also a variable: --state-dir is BUCKETZIP_STATE_DIR. `bucketzip serve --help` tells of AWS's own.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "work",
        description="Run the archives that servers on this machine have accepted.",
        usage="bucketzip work [options]",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings(parser, [name for name in Settings.model_fields if name not in NOT_HERE])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Work until a signal; returns the exit status."""
    settings = read_settings(options)
    configure(settings.log_format, settings.log_level)
    with working_in(settings):
        try:
            asyncio.run(interruptible(_work(settings)))
        except Interrupted:
            _log.info("stopped: archives that are not done stay where they stand")
    return 0


async def _work(settings: Settings) -> None:
    metrics = Metrics()

    async def exposition(form: Format) -> bytes:
        return metrics.exposition(form)

    async with (
        watched(),
        open_machine(settings, metrics) as machine,
        Expositions(exposition, settings.run_directory, settings.process("work")).offered(),
        machine.runner.running(settings.state_dir),
    ):
        notify("READY=1")
        _log.info("looking for archives in %s", settings.state_dir, extra={"pid": os.getpid()})
        await asyncio.get_running_loop().create_future()  # for ever
