"""The table of URLs: each for users, unless it is marked as open to others."""

from aiohttp import web

from bucketzip.web.access import for_metrics, public
from bucketzip.web.handlers import (
    archives,
    buckets,
    console,
    downloads,
    health,
    links,
    manifest,
    openapi,
    results,
    s3zipper,
    session,
    system,
)


def routes() -> list[web.RouteDef]:
    """All of them."""
    return [
        web.post("/downloads", downloads.create),
        web.get("/downloads", links.page),
        web.get("/downloads/{id}", links.show),
        web.delete("/downloads/{id}", links.revoke),
        public(web.get("/d/{capability}/manifest.json", manifest.manifest)),  # in front of any other name
        public(web.get("/d/{capability}/{filename}", downloads.download)),
        web.post("/archives", archives.create),
        web.get("/archives", archives.page),
        web.get("/archives/{id}", archives.show),
        web.get("/archives/{id}/events", archives.events, allow_head=False),
        web.post("/archives/{id}/resume", archives.resume),
        web.delete("/archives/{id}", archives.cancel),
        public(web.get("/r/{capability}", results.follow)),
        public(web.post("/gentoken", s3zipper.token)),
        public(web.post("/tokenv2", s3zipper.token)),
        web.post("/v1/zipstart", s3zipper.start_archive_v1),
        web.post("/v2/zipstart", s3zipper.start_archive),
        web.post("/v2/s3zip", s3zipper.start_archive),
        web.post("/v1/streamzip", s3zipper.start_download_v1),
        web.post("/v2/streamzip", s3zipper.start_download),
        web.post("/v1/zipstate", s3zipper.state),
        web.post("/v2/zipstate", s3zipper.state),
        web.post("/v2/status", s3zipper.state),
        web.post("/v1/zipresult", s3zipper.result),
        web.post("/v2/zipresult", s3zipper.result),
        web.get("/buckets", buckets.page),
        web.get("/buckets/{bucket}/objects", buckets.objects),
        web.get("/buckets/{bucket}/totals", buckets.totals),
        web.get("/system", system.show),
        public(web.post("/session", session.begin)),
        web.get("/session", session.show),
        public(web.delete("/session", session.end)),
        public(web.get("/healthz", health.healthz)),
        public(web.get("/readyz", health.readyz)),
        for_metrics(web.get("/metrics", health.metrics)),
        public(web.get("/openapi.yaml", openapi.openapi)),
        public(web.get("/docs", openapi.docs)),
        public(web.get("/", console.home)),
        public(web.get("/console", console.page)),
        public(web.get("/console/", console.home_of_folder)),
        public(web.get("/console/{file}", console.file)),
    ]
