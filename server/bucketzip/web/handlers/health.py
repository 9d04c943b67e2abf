"""Is it alive, can it serve, and how is it doing."""

from aiohttp import web

from bucketzip import __version__
from bucketzip.exposition import Format
from bucketzip.metrics import CONTENT_TYPES
from bucketzip.web import keys


async def healthz(request: web.Request) -> web.Response:
    """The process is alive."""
    return web.json_response({"status": "ok", "version": __version__})


async def readyz(request: web.Request) -> web.Response:
    """It has credentials and state, so it can serve; else an error that says what is missing."""
    request.app[keys.CHECK_READY]()
    return web.json_response({"status": "ready"})


async def metrics(request: web.Request) -> web.Response:
    """In OpenMetrics where the caller takes it, as Prometheus does, else in the older text format."""
    takes = request.headers.get("Accept", "")
    form = Format.OPENMETRICS if "application/openmetrics-text" in takes else Format.TEXT
    text = await request.app[keys.EXPOSITIONS].text(form)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPES[form], "Vary": "Accept"})


async def own_exposition(app: web.Application, form: Format) -> bytes:
    """The metrics of this process."""
    instruments = app[keys.METRICS]
    for state, jobs in (await app[keys.ARCHIVE_JOBS].counts()).items():
        if not state.is_final:
            instruments.archives.labels(state).set(jobs)
    for kind, deliveries in (await app[keys.DELIVERIES].waiting()).items():
        instruments.deliveries_waiting.labels(kind).set(deliveries)
    return instruments.exposition(form)
