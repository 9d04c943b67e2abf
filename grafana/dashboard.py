"""The dashboard: what is shown, and in which order. What the figures mean is told in docs/operations.md."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Lines
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.panels import DATASOURCE, lines, machine, number, of, quantile, quantiles, rate, total

FILE = Path(__file__).with_name("dashboards") / "bucketzip.json"

BROKEN = 'outcome!~"complete|client_gone|stalled|source_changed"'
"""Of downloads that the server broke: not those that clients left, or whose objects were rewritten."""
HIT = 'result="hit"'

Panels = Sequence[Stat | Lines]

OVERVIEW: Panels = (
    number("Up", "Machines that answer Prometheus.", units.Short, f"sum ({of('up')})"),
    number(
        "Versions",
        "Processes of each version.",
        units.Short,
        total("bucketzip_build_info", "version"),
        legend="{{version}}",
    ),
    number("Downloads now", "Archives being streamed.", units.Short, total("bucketzip_downloads_active")),
    number(
        "Sent",
        "Bytes of archives to clients, each second.",
        units.BytesPerSecondIEC,
        rate("bucketzip_sent_bytes_total"),
    ),
    number(
        "Broken downloads",
        "The share that the server broke off; clients that left are not counted.",
        units.PercentUnit,
        f"({rate('bucketzip_downloads_total', labels=BROKEN)} or vector(0))"
        f" / ({rate('bucketzip_downloads_total')} > 0)",
    ),
    number(
        "Credentials last",
        "Until the first of the servers' own AWS credentials expire; no end for keys that do not.",
        units.Seconds,
        f"min ({of('bucketzip_credentials_expiry_timestamp_seconds')}) - time()",
    ),
    lines(
        "Requests",
        "HTTP requests by status; `broken` where the answer did not come to its end.",
        units.RequestsPerSecond,
        {"{{status}}": rate("bucketzip_http_requests_total", "status")},
        stacked=True,
    ),
    lines(
        "Time of requests",
        "What 95 % of the requests to a route take at most. Of a download: until its last byte.",
        units.Seconds,
        {"{{route}}": quantile(0.95, "bucketzip_http_request_seconds", "route")},
    ),
    lines(
        "Errors",
        "Errors by code, answered or by breaking the connection.",
        units.CountsPerSecond,
        {"{{code}}": rate("bucketzip_errors_total", "code")},
        stacked=True,
    ),
)

STREAMING: Panels = (
    lines(
        "Bytes",
        "To clients, and from S3 for them. Much more from S3: memory is short, or slow clients let go.",
        units.BytesPerSecondIEC,
        {"sent": rate("bucketzip_sent_bytes_total"), "from S3": rate("bucketzip_s3_received_bytes_total")},
    ),
    lines(
        "Downloads now",
        "Archives being streamed, by machine.",
        units.Short,
        {"{{instance}}": total("bucketzip_downloads_active", "instance")},
        stacked=True,
    ),
    lines(
        "Downloads ended",
        "By outcome: complete, client_gone, stalled, or an error's code.",
        units.CountsPerSecond,
        {"{{outcome}}": rate("bucketzip_downloads_total", "outcome")},
        stacked=True,
    ),
    lines(
        "Time of downloads",
        "Complete ones, from the request to the last byte.",
        units.Seconds,
        quantiles("bucketzip_download_seconds"),
    ),
    lines(
        "Parts asked for",
        "Downloads with a Range: broken ones that go on, or parallel ones.",
        units.CountsPerSecond,
        {"ranges": rate("bucketzip_download_ranges_total")},
    ),
    lines("Planning", "From the request for a link to its plan.", units.Seconds, quantiles("bucketzip_plan_seconds")),
    lines(
        "Plans under way",
        "Downloads being planned, or waiting for that.",
        units.Short,
        {"{{instance}}": total("bucketzip_plans_active", "instance")},
    ),
    lines(
        "Compression",
        "Bytes of objects that went into compression, and what came of them.",
        units.BytesPerSecondIEC,
        {"in": rate("bucketzip_deflate_in_bytes_total"), "out": rate("bucketzip_deflate_out_bytes_total")},
    ),
    lines(
        "Threads compressing",
        "Busy ones: there is one a core.",
        units.Short,
        {"{{instance}}": total("bucketzip_deflate_threads_busy", "instance")},
    ),
    lines(
        "Memory",
        "What is in flight and buffered, and what may be.",
        units.BytesIEC,
        {
            "used, {{instance}}": total("bucketzip_memory_used_bytes", "instance"),
            "budget, {{instance}}": total("bucketzip_memory_budget_bytes", "instance"),
        },
        width=12,
    ),
    lines(
        "Waiting for memory",
        "Downloads that have less memory than their fair share, and want more.",
        units.Short,
        {"{{instance}}": total("bucketzip_memory_waiting_downloads", "instance")},
        width=12,
    ),
)

JOBS: Panels = (
    lines(
        "Archives under way",
        "Archives to be written into buckets that are not done yet, by state.",
        units.Short,
        {"{{state}}": f"sum by (state) ({machine('bucketzip_archives_unfinished', 'instance, state')})"},
        stacked=True,
    ),
    lines(
        "Waiting",
        "How long the oldest queued archive waits, and how long one under way has stood still.",
        units.Seconds,
        {
            "queued, {{instance}}": machine("bucketzip_archives_oldest_queued_seconds"),
            "still, {{instance}}": machine("bucketzip_archives_longest_still_seconds"),
        },
    ),
    lines(
        "Archives ended",
        "By outcome.",
        units.CountsPerSecond,
        {"{{outcome}}": rate("bucketzip_archives_total", "outcome")},
        stacked=True,
    ),
    lines(
        "Bytes by way",
        "Bytes written into buckets: copied inside S3, or built here, which costs traffic.",
        units.BytesPerSecondIEC,
        {"{{way}}": rate("bucketzip_archive_bytes_total", "way")},
        stacked=True,
    ),
    lines(
        "Time of archives",
        "What they took, without the time in the queue.",
        units.Seconds,
        quantiles("bucketzip_archive_seconds"),
    ),
    lines(
        "Callbacks and mail",
        "Attempts to tell of an end, by outcome.",
        units.CountsPerSecond,
        {"{{kind}} {{outcome}}": rate("bucketzip_deliveries_total", "kind, outcome")},
        stacked=True,
    ),
    lines(
        "Not delivered yet",
        "Callbacks and mails that wait for an attempt.",
        units.Short,
        {"{{kind}}": f"sum by (kind) ({machine('bucketzip_deliveries_waiting', 'instance, kind')})"},
        width=24,
    ),
)

S3: Panels = (
    lines(
        "Ranged GETs",
        "By outcome.",
        units.RequestsPerSecond,
        {"{{outcome}}": rate("bucketzip_s3_range_gets_total", "outcome")},
        stacked=True,
    ),
    lines(
        "Time of ranged GETs",
        "From the request to the last byte, successful ones.",
        units.Seconds,
        quantiles("bucketzip_s3_range_get_seconds"),
    ),
    lines(
        "Tried again",
        "Ranged GETs by the reason that they were tried again for.",
        units.CountsPerSecond,
        {"{{reason}}": rate("bucketzip_s3_retries_total", "reason")},
        stacked=True,
    ),
    lines(
        "Second requests",
        "For bytes that were late, and how many of them were faster than the first.",
        units.RequestsPerSecond,
        {"sent": rate("bucketzip_s3_hedges_total"), "won": rate("bucketzip_s3_hedges_won_total")},
    ),
    lines(
        "Connections",
        "Open ones for ranged GETs, and how many requests and parts S3 takes at once: SlowDown lowers that.",
        units.Short,
        {
            "open, {{instance}}": total("bucketzip_s3_connections", "instance"),
            "limit of a process, {{instance}}": f"min by (instance) ({of('bucketzip_s3_concurrency_limit')})",
            "parts to a bucket, {{instance}}": f"min by (instance) ({of('bucketzip_s3_parts_limit')})",
        },
    ),
    lines(
        "Waiting for a connection",
        "Reads that could begin if there were more.",
        units.Short,
        {"{{instance}}": total("bucketzip_s3_reads_waiting", "instance")},
    ),
    lines(
        "Other requests",
        "By operation; S3 charges by them.",
        units.RequestsPerSecond,
        {"{{operation}}": rate("bucketzip_s3_api_requests_total", "operation")},
        stacked=True,
    ),
    lines(
        "Other requests that failed",
        "By operation and reason. `not_found` is often just an answer.",
        units.RequestsPerSecond,
        {"{{operation}} {{reason}}": rate("bucketzip_s3_api_failures_total", "operation, reason")},
        stacked=True,
    ),
    lines(
        "Where CRCs come from",
        "Entries planned; those `computed` have to be read for it.",
        units.CountsPerSecond,
        {"{{way}}": rate("bucketzip_planned_crcs_total", "way")},
        stacked=True,
    ),
    lines(
        "Known CRCs",
        "The share of the objects looked for whose CRC had been learned before.",
        units.PercentUnit,
        {"found": f"{rate('bucketzip_crc_lookups_total', labels=HIT)} / ({rate('bucketzip_crc_lookups_total')} > 0)"},
        width=24,
    ),
)

HOST: Panels = (
    lines(
        "Processor",
        "Cores that each process uses: it cannot use more than about one.",
        units.Short,
        {"{{instance}} {{process}}": rate("process_cpu_seconds_total", "instance, process")},
    ),
    lines(
        "Resident memory",
        "Of each process.",
        units.BytesIEC,
        {"{{instance}} {{process}}": total("process_resident_memory_bytes", "instance, process")},
    ),
    lines(
        "Files",
        "File descriptors that are open, as a share of what a process may have.",
        units.PercentUnit,
        {"{{instance}} {{process}}": f"{of('process_open_fds')} / {of('process_max_fds')}"},
    ),
    lines("Event loop", "How late it runs what is due.", units.Seconds, quantiles("bucketzip_event_loop_lag_seconds")),
    lines(
        "Waiting for a thread",
        "What 95 % of the tries waited at most: for the pool, or the one of the state's file.",
        units.Seconds,
        {"{{pool}}": quantile(0.95, "bucketzip_thread_wait_seconds", "pool")},
    ),
    lines(
        "Threads",
        "Of each process.",
        units.Short,
        {"{{instance}} {{process}}": total("bucketzip_threads", "instance, process")},
    ),
    lines(
        "Disk",
        "The share of the state directory's disk that is used.",
        units.PercentUnit,
        {
            "{{instance}}": f"1 - {machine('bucketzip_state_disk_free_bytes')}"
            f" / {machine('bucketzip_state_disk_size_bytes')}"
        },
    ),
    lines(
        "Space for plans",
        "The share of the space for planned archives that is used.",
        units.PercentUnit,
        {"{{instance}}": f"{machine('bucketzip_manifests_bytes')} / {machine('bucketzip_manifests_limit_bytes')}"},
    ),
    lines(
        "Refused callers",
        "Requests refused for who asked.",
        units.RequestsPerSecond,
        {"{{reason}}": rate("bucketzip_auth_failures_total", "reason")},
        stacked=True,
    ),
)

ROWS = {"Overview": OVERVIEW, "Streaming": STREAMING, "Jobs": JOBS, "S3": S3, "Host": HOST}


def build() -> Dashboard:
    """All of it."""
    made = (
        Dashboard("bucketzip")
        .uid("bucketzip")
        .description("ZIP archives of objects in S3: downloads, archives written into buckets, S3 and the machines.")
        .tags(["bucketzip"])
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .link(_link("Alerts", "/alerting/list?search=bucketzip"))
        .link(_link("Explore", "/explore"))
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_choice("job", "Job", "label_values(bucketzip_build_info, job)"))
        .with_variable(_choice("instance", "Instance", 'label_values(bucketzip_build_info{job=~"$job"}, instance)'))
    )
    for title, panels in ROWS.items():
        made.with_row(Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def as_json() -> str:
    """The file: without what has no value, which Grafana fills in."""
    plain = json.loads(json.dumps(build().build(), cls=JSONEncoder))
    for place, panel in enumerate(plain["panels"], 1):
        panel["id"] = place
    return json.dumps(_without_nulls(plain), indent=2, ensure_ascii=False) + "\n"


def _choice(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
        .multi(multi=True)
        .include_all(include_all=True)
    )


def _link(title: str, url: str) -> DashboardLink:
    return dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(url).keep_time(keep_time=True)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
