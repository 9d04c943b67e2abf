"""The table of URLs."""

from aiohttp import web

from bucketzip.web.handlers import archives, downloads, health, links, manifest, openapi


def routes() -> list[web.RouteDef]:
    """All of them."""
    return [
        web.post("/downloads", downloads.create),
        web.get("/downloads", links.page),
        web.get("/downloads/{id}", links.show),
        web.delete("/downloads/{id}", links.revoke),
        web.get("/d/{capability}/manifest.json", manifest.manifest),  # in front of any other name
        web.get("/d/{capability}/{filename}", downloads.download),
        web.post("/archives", archives.create),
        web.get("/archives", archives.page),
        web.get("/archives/{id}", archives.show),
        web.get("/archives/{id}/events", archives.events, allow_head=False),
        web.delete("/archives/{id}", archives.cancel),
        web.get("/healthz", health.healthz),
        web.get("/readyz", health.readyz),
        web.get("/metrics", health.metrics),
        web.get("/openapi.yaml", openapi.openapi),
        web.get("/docs", openapi.docs),
    ]
