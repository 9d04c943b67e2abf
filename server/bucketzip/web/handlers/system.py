"""How this server is set up and how it is doing, for people who look at the console; /metrics is for programs."""

import asyncio
import platform
import shutil
import socket
import time
from collections.abc import Iterable

from aiohttp import web

from bucketzip import __version__
from bucketzip.plan.signer import Signer
from bucketzip.state.probes import Known
from bucketzip.web import keys
from bucketzip.web.caller import Caller
from bucketzip.web.times import utc


async def show(request: web.Request) -> web.Response:
    """GET /system. Budget and uptime are those of the process that answers."""
    app = request.app
    settings, own = app[keys.SETTINGS], app[keys.OWN]
    signer = await own.signer()
    counts = await app[keys.ARCHIVE_JOBS].counts()
    disk = await asyncio.to_thread(shutil.disk_usage, settings.state_dir)
    return web.json_response(
        {
            "version": __version__,
            "python": platform.python_version(),
            "hostname": socket.gethostname(),
            "region": signer.region,
            "endpoint": signer.endpoint,
            "credentials": _credentials(signer),
            "probes": _probes(await app[keys.PROBES].known(signer.endpoint), request[keys.CALLER]),
            "budget": {"bytes": own.engine.budget.total_bytes, "used_bytes": own.engine.budget.used_bytes},
            "downloads": {"active": (await app[keys.DOWNLOADS].activity.counts()).total()},
            "jobs": {state.value: count for state, count in counts.items()},
            "processes": settings.processes,
            "state": {"bytes_free": disk.free},
            "uptime_seconds": int(time.monotonic() - app[keys.STARTED]),
        }
    )


def _credentials(signer: Signer) -> dict[str, object]:
    problem = signer.problem
    return {
        "source": signer.source,
        "principal": signer.principal,
        "expires_at": utc(signer.expires_at),
        "error": None if problem is None else {"code": problem.code, "detail": str(problem)},
    }


def _probes(known: Iterable[Known], caller: Caller) -> list[dict[str, object]]:
    """Of buckets that the caller may use: others are not there."""
    return [
        {
            "bucket": probe.source,
            "into": probe.scratch,
            "proven": verdict.proven,
            "detail": verdict.reason or None,
            "expires_at": utc(expires_at),
        }
        for probe, verdict, expires_at in known
        if caller.may_use(probe.source) and caller.may_use(probe.scratch)
    ]
