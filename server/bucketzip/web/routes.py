"""The table of URLs: each for users, unless it is marked as open to others."""

from aiohttp import web

from bucketzip.web.access import for_metrics, public
from bucketzip.web.handlers import archives, downloads, health, manifest, openapi, session


def routes() -> list[web.RouteDef]:
    """All of them."""
    return [
        web.post("/downloads", downloads.create),
        public(web.get("/d/{capability}/manifest.json", manifest.manifest)),  # in front of any other name
        public(web.get("/d/{capability}/{filename}", downloads.download)),
        web.post("/archives", archives.create),
        web.get("/archives", archives.page),
        web.get("/archives/{id}", archives.show),
        web.get("/archives/{id}/events", archives.events, allow_head=False),
        web.delete("/archives/{id}", archives.cancel),
        public(web.post("/session", session.begin)),
        web.get("/session", session.show),
        public(web.delete("/session", session.end)),
        public(web.get("/healthz", health.healthz)),
        public(web.get("/readyz", health.readyz)),
        for_metrics(web.get("/metrics", health.metrics)),
        public(web.get("/openapi.yaml", openapi.openapi)),
    ]
