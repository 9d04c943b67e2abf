"""Prometheus declarations, nothing else: names, labels, help.

Label values come from closed sets (route, method, status, our error codes, outcomes), never from keys, buckets or
paths.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, PlatformCollector, ProcessCollector
from prometheus_client import exposition as text_format
from prometheus_client.openmetrics import exposition as openmetrics

from bucketzip import __version__
from bucketzip.exposition import Format

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_LONG_SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400)


class Metrics:
    """One registry and its instruments."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.build = Info("bucketzip_build", "Version of this server.", registry=registry)
        self.build.info({"version": __version__})
        self.requests = Counter(
            "bucketzip_http_requests_total",
            "HTTP requests answered.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "bucketzip_http_request_seconds",
            "From an HTTP request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.errors = Counter(
            "bucketzip_errors_total",
            "Errors by code, answered or (once a download had begun) by breaking the connection.",
            ["code"],
            registry=registry,
        )
        self.auth_failures = Counter(
            "bucketzip_auth_failures_total",
            "Requests refused for who asked, by reason: no_token, bad_token, expired_token, revoked_token, "
            "wrong_secret, too_many_attempts, forbidden, cross_site.",
            ["reason"],
            registry=registry,
        )
        self.downloads_active = Gauge("bucketzip_downloads_active", "Archives being streamed now.", registry=registry)
        self.downloads = Counter(
            "bucketzip_downloads_total",
            "Downloads that began, by how they ended: complete, client_gone, stalled, or an error's code.",
            ["outcome"],
            registry=registry,
        )
        self.ranges = Counter(
            "bucketzip_download_ranges_total",
            "Downloads of a part: broken ones that go on, or parallel ones.",
            registry=registry,
        )
        self.download_seconds = Histogram(
            "bucketzip_download_seconds",
            "From the request for an archive, or for a part of one, to its last byte; complete ones.",
            buckets=_LONG_SECONDS,
            registry=registry,
        )
        self.sent_bytes = Counter("bucketzip_sent_bytes_total", "Bytes of archives sent.", registry=registry)
        self.received_bytes = Counter(
            "bucketzip_s3_received_bytes_total", "Bytes of objects read from S3.", registry=registry
        )
        self.range_gets = Counter(
            "bucketzip_s3_range_gets_total",
            "Ranged GETs by outcome: ok, stall, connection, malformed, or an error's code.",
            ["outcome"],
            registry=registry,
        )
        self.range_get_seconds = Histogram(
            "bucketzip_s3_range_get_seconds",
            "From a ranged GET's request to its last byte, successful ones.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.retries = Counter(
            "bucketzip_s3_retries_total",
            "Ranged GETs tried again, by reason.",
            ["reason"],
            registry=registry,
        )
        self.hedges = Counter(
            "bucketzip_s3_hedges_total", "Second requests for bytes that were late.", registry=registry
        )
        self.hedges_won = Counter(
            "bucketzip_s3_hedges_won_total", "Second requests that answered before the first did.", registry=registry
        )
        self.concurrency_limit = Gauge(
            "bucketzip_s3_concurrency_limit",
            "Ranged GETs that may be in flight at an endpoint, where SlowDown has lowered that most.",
            registry=registry,
        )
        self.parts_limit = Gauge(
            "bucketzip_s3_parts_limit",
            "Parts of archives that may be under way to a bucket, where SlowDown has lowered that most.",
            registry=registry,
        )
        self.connections = Gauge("bucketzip_s3_connections", "Open connections for ranged GETs.", registry=registry)
        self.waiting = Gauge("bucketzip_s3_reads_waiting", "Reads that wait for a connection.", registry=registry)
        self.budget_bytes = Gauge(
            "bucketzip_memory_budget_bytes", "What may be in flight and buffered.", registry=registry
        )
        self.budget_used_bytes = Gauge(
            "bucketzip_memory_used_bytes", "What is in flight and buffered now.", registry=registry
        )
        self.waiting_for_memory = Gauge(
            "bucketzip_memory_waiting_downloads",
            "Downloads that want more memory, and have less than their fair share.",
            registry=registry,
        )
        self.plan_seconds = Histogram(
            "bucketzip_plan_seconds",
            "From a request for a link to its plan.",
            buckets=_LONG_SECONDS,
            registry=registry,
        )
        self.plans_active = Gauge(
            "bucketzip_plans_active", "Downloads being planned now, or waiting for that.", registry=registry
        )
        self.crcs = Counter(
            "bucketzip_planned_crcs_total",
            "Entries planned, by where their CRC-32 comes from: stored, rebuilt, cached, copied, computed.",
            ["way"],
            registry=registry,
        )
        self.crc_lookups = Counter(
            "bucketzip_crc_lookups_total",
            "Objects looked for among the CRC-32s that this machine has learned: hit, miss.",
            ["result"],
            registry=registry,
        )
        self.archives = Gauge(
            "bucketzip_archives_unfinished",
            "Archives to be written into buckets by this machine that are not done yet, by state.",
            ["state"],
            registry=registry,
        )
        self.archives_ended = Counter(
            "bucketzip_archives_total",
            "Archives to be written into buckets, by how they ended: succeeded, failed, cancelled.",
            ["outcome"],
            registry=registry,
        )
        self.archive_seconds = Histogram(
            "bucketzip_archive_seconds",
            "What it took to make an archive in a bucket, without the time that its job was queued, by how it ended.",
            ["outcome"],
            buckets=_LONG_SECONDS,
            registry=registry,
        )
        self.archive_bytes = Counter(
            "bucketzip_archive_bytes_total",
            "Bytes of archives written into buckets, part by part: copied (inside S3), built (in this process), "
            "compressed (built of compressed entries).",
            ["way"],
            registry=registry,
        )
        self.archives_queued_seconds = Gauge(
            "bucketzip_archives_oldest_queued_seconds",
            "How long the oldest archive that no runner has taken yet has waited; 0 where there is none.",
            registry=registry,
        )
        self.archives_still_seconds = Gauge(
            "bucketzip_archives_longest_still_seconds",
            "How long the archive under way that has stood still longest has done so; 0 where there is none.",
            registry=registry,
        )
        self.deliveries = Counter(
            "bucketzip_deliveries_total",
            "Attempts to tell of an end by a callback or a mail: delivered, retried (it will be tried again), failed.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.deliveries_waiting = Gauge(
            "bucketzip_deliveries_waiting",
            "Callbacks and mails of this machine that are not delivered yet.",
            ["kind"],
            registry=registry,
        )
        self.api_requests = Counter(
            "bucketzip_s3_api_requests_total",
            "Requests to S3 that are not ranged GETs, by operation.",
            ["operation"],
            registry=registry,
        )
        self.deflate_in_bytes = Counter(
            "bucketzip_deflate_in_bytes_total", "Bytes of objects that went into compression.", registry=registry
        )
        self.deflate_out_bytes = Counter(
            "bucketzip_deflate_out_bytes_total", "Bytes that came of them, stored ones included.", registry=registry
        )
        self.deflate_threads_busy = Gauge(
            "bucketzip_deflate_threads_busy", "Threads that compress now.", registry=registry
        )
        self.api_failures = Counter(
            "bucketzip_s3_api_failures_total",
            "Requests to S3 that are not ranged GETs and did not succeed, by operation and reason: not_found, "
            "access_denied, precondition, refused, slow_down, server_error, connection.",
            ["operation", "reason"],
            registry=registry,
        )
        self.credentials_expiry = Gauge(
            "bucketzip_credentials_expiry_timestamp_seconds",
            "When this server's own credentials expire, in seconds since 1970; +Inf if never, 0 if there are none.",
            registry=registry,
        )
        self.manifests_bytes = Gauge(
            "bucketzip_manifests_bytes", "Space that planned archives take in the state directory.", registry=registry
        )
        self.manifests_limit_bytes = Gauge(
            "bucketzip_manifests_limit_bytes", "Space that planned archives may take.", registry=registry
        )
        self.state_free_bytes = Gauge(
            "bucketzip_state_disk_free_bytes", "Free space of the state directory's file system.", registry=registry
        )
        self.state_disk_bytes = Gauge(
            "bucketzip_state_disk_size_bytes", "Size of the state directory's file system.", registry=registry
        )
        self.threads = Gauge("bucketzip_threads", "Threads of this process.", registry=registry)
        self.thread_wait_seconds = Histogram(
            "bucketzip_thread_wait_seconds",
            "How long work waits for a thread, tried out now and then: of the pool, or the one of the state's file.",
            ["pool"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.loop_lag_seconds = Histogram(
            "bucketzip_event_loop_lag_seconds",
            "How late the event loop runs what is due, looked at four times a second.",
            buckets=_SECONDS,
            registry=registry,
        )

    def exposition(self, form: Format) -> bytes:
        """All of it."""
        write = openmetrics.generate_latest if form is Format.OPENMETRICS else text_format.generate_latest
        return write(self.registry)


CONTENT_TYPES = {
    Format.TEXT: text_format.CONTENT_TYPE_LATEST,
    Format.OPENMETRICS: openmetrics.CONTENT_TYPE_LATEST,
}
