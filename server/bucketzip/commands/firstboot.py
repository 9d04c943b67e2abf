"""`bucketzip firstboot`: what an instance needs before its services start, made where it is not there yet.

It runs at every boot: secrets are made once, in the state directory, and are never printed; sizes are those of the
machine as it is now.
"""

import argparse
import asyncio
import json
import logging
import os
from http.client import HTTPException
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from bucketzip.commands.instance_metadata import instance_metadata
from bucketzip.commands.self_signed import self_signed
from bucketzip.commands.settings import add_settings, read_settings, working_in
from bucketzip.logs import configure
from bucketzip.settings import LEAST_MEMORY_BYTES, MIB, PREFIX
from bucketzip.state.database import open_database
from bucketzip.state.initial_user import make_initial_user, read_initial_user
from bucketzip.state.instance_key import load_instance_key
from bucketzip.state.users import Users

_log = logging.getLogger(__name__)

SIZES_FILE = "sizes.env"
PROCESS_BYTES = 100 * MIB
"""What a process takes beside the memory for bytes in flight."""
MEMORY_SHARE = 0.4
"""Of the machine's memory: the rest is for the system and its page cache, and for the peaks of planning."""
MOST_MEMORY_BYTES = 1024 * MIB
"""For a process: more was seen to help no download."""

_EXAMPLES = f"""examples:
  bucketzip firstboot --state-dir /var/lib/bucketzip --run-dir /run/bucketzip

It makes, where they are not there: the instance's key, the first user (whose secret is told by
`bucketzip user show-initial`) and, with --tls-self-signed, a TLS certificate.
With --run-dir it writes {SIZES_FILE} there, variables for the services: {PREFIX}PROCESSES, one `serve` a core and one
`work`, and {PREFIX}MEMORY_BYTES, by the memory of this machine.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "firstboot",
        description="Prepare this machine for its services. Safe to run again.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings(parser, ["state_dir", "run_dir", "tls_self_signed", "public_url", "secret_parameter", "log_format"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    settings = read_settings(options)
    configure(settings.log_format, settings.log_level)
    with working_in(settings, verb="prepare this machine"):
        load_instance_key(settings.state_dir)
        asyncio.run(_make_user(settings.state_dir))
        if settings.tls_self_signed:
            self_signed(settings.state_dir, settings.public_url)
        if settings.secret_parameter:
            _publish_secret(settings.state_dir, settings.secret_parameter)
        if directory := settings.run_directory:
            _write_sizes(directory)
    return 0


async def _make_user(directory: Path) -> None:
    async with open_database(directory) as database:
        await make_initial_user(Users(database), directory)


def _publish_secret(directory: Path, parameter: str) -> None:
    """Put the first user's key and secret, while they lie here, where the owner of the account can read them.

    A role that may not, or a network that is not there, keeps nothing else from starting: the next boot tries again.
    """
    initial = read_initial_user(directory)
    if initial is None:
        return
    try:
        region = os.environ.get("AWS_REGION") or instance_metadata("placement/region")
        ssm: Any = Session().create_client(
            "ssm", region_name=region, config=Config(connect_timeout=10, read_timeout=10)
        )
        value = json.dumps(initial._asdict())
        ssm.put_parameter(Name=parameter, Value=value, Type="SecureString", Overwrite=True)
    except (BotoCoreError, ClientError, HTTPException, OSError) as error:
        _log.warning("the first user's secret is not in the parameter %s: %s", parameter, error)


def _write_sizes(directory: Path) -> None:
    processes, memory_bytes = sizes(os.cpu_count() or 1, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f".{SIZES_FILE}"
    draft.write_text(f"{PREFIX}PROCESSES={processes}\n{PREFIX}MEMORY_BYTES={memory_bytes}\n")
    draft.rename(directory / SIZES_FILE)


def sizes(cores: int, physical_bytes: int) -> tuple[int, int]:
    """Processes, and bytes that may be in flight and buffered in all of them, for a machine."""
    processes = cores + 1
    wanted = int(MEMORY_SHARE * physical_bytes) - processes * PROCESS_BYTES
    least, most = processes * LEAST_MEMORY_BYTES, processes * MOST_MEMORY_BYTES
    return processes, min(max(wanted, least), most)
