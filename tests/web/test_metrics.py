"""What the metrics tell, by servers that had something to tell of."""

import asyncio
import math
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from bucketzip.s3.concurrency import LEAST
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.multipart import PARTS_AT_ONCE
from bucketzip.web import keys
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, does
from tests.jobs.archiving import KEY, Client, Moment, sends
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20


async def samples(server: Server) -> dict[str, float]:
    """What /metrics says, by `name{label=value,...}`; the labels in alphabetical order."""
    async with server.client.get(f"{server.base}/metrics") as answer:
        text = await answer.text()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            told = ",".join(f"{label}={labels[label]}" for label in sorted(labels))
            found[f"{name}{{{told}}}" if told else name] = value
    return found


@pytest.fixture
def serve(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda **settings: serving(
        stub_environment(stub.endpoint_url), tmp_path / "state", monkeypatch, s3_tries=2, **settings
    )


async def test_archives_are_told_by_way_and_seconds(stub: LyingS3, serve: Any) -> None:
    stub.objects.put("in/large", Synthetic(12 * MIB, 1), crc="full")
    stub.objects.put("in/small", Synthetic(1000, 2))
    async with serve() as server:
        job = await Client(server.client, server.base).archived()
        told = await samples(server)
    assert told["bucketzip_archive_bytes_total{way=copied}"] == job["result"]["copied_bytes"] > 0
    assert told["bucketzip_archive_bytes_total{way=built}"] == job["result"]["built_bytes"] > 0
    assert told["bucketzip_archive_seconds_count{outcome=succeeded}"] == 1
    assert 0 < told["bucketzip_archive_seconds_sum{outcome=succeeded}"] < 60
    assert told["bucketzip_archives_total{outcome=succeeded}"] == 1


async def test_learned_crcs_are_hits(stub: LyingS3, serve: Any) -> None:
    stub.objects.put("a", Synthetic(9 * MIB, 1))
    async with serve(scratch="off") as server:
        await server.zip("s3://stub/")
        await server.idle()
        first = await samples(server)
    async with serve(scratch="off") as server:
        await server.link("s3://stub/")
        second = await samples(server)
    assert first["bucketzip_crc_lookups_total{result=hit}"] == 0
    assert first["bucketzip_crc_lookups_total{result=miss}"] > 0
    assert second["bucketzip_crc_lookups_total{result=hit}"] == 1


async def test_failures_of_the_api_have_reasons(stub: LyingS3, serve: Any) -> None:
    stub.objects.put("in/a", b"content")
    stub.on(does("ListObjectsV2"), lies.slow_down(), times=1)
    async with serve() as server:
        await server.link("s3://stub/in/")
        status, _ = await server.ask("s3://stub/missing")
        assert status == 404
        told = await samples(server)
    assert told["bucketzip_s3_api_failures_total{operation=ListObjectsV2,reason=slow_down}"] == 1
    assert told["bucketzip_s3_api_failures_total{operation=HeadObject,reason=not_found}"] > 0


async def test_parts_that_s3_slows_down_are_told(stub: LyingS3, serve: Any) -> None:
    stub.objects.put("in/a", b"content")
    stub.on(does("UploadPart", KEY), lies.slow_down(), times=1)
    async with serve() as server:
        before = await samples(server)
        await Client(server.client, server.base).archived()
        after = await samples(server)
    assert before["bucketzip_s3_parts_limit"] == PARTS_AT_ONCE
    assert LEAST < after["bucketzip_s3_parts_limit"] < PARTS_AT_ONCE
    assert after["bucketzip_s3_api_failures_total{operation=UploadPart,reason=slow_down}"] == 1


async def test_an_archive_that_does_not_move_is_told(
    stub: LyingS3, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bucketzip.watch.LOOK_SECONDS", 0.05)
    stub.objects.put("in/a", b"content")
    moment = Moment(stub, sends())
    async with serve() as server:
        client = Client(server.client, server.base)
        job = await client.begin()
        await moment.come()
        async with asyncio.timeout(120):
            while not (await samples(server))["bucketzip_archives_longest_still_seconds"]:
                await asyncio.sleep(0.05)
        told = await samples(server)
        assert told["bucketzip_archives_unfinished{state=running}"] == 1
        assert told["bucketzip_archives_oldest_queued_seconds"] == 0
        moment.let_go()
        await client.cancel(job)
        await client.until(job)


async def test_the_machine_is_told(stub: LyingS3, serve: Any) -> None:
    stub.objects.put("a", b"content")
    async with serve(manifests_bytes=MIB) as server:
        await server.link("s3://stub/a")
        told = await samples(server)
    assert told["bucketzip_credentials_expiry_timestamp_seconds"] == math.inf
    assert 0 < told["bucketzip_state_disk_free_bytes"] < told["bucketzip_state_disk_size_bytes"]
    assert told["bucketzip_manifests_limit_bytes"] == MIB
    assert told["bucketzip_threads"] >= 2
    assert {pool: told[f"bucketzip_thread_wait_seconds_count{{pool={pool}}}"] for pool in ("pool", "state")} == {
        "pool": 1,
        "state": 1,
    }


async def test_exemplars_lead_to_the_log(stub: LyingS3, serve: Any) -> None:
    """Of a request, a download, a plan and an archive, in OpenMetrics, as Prometheus reads it."""
    stub.objects.put("in/a", b"content")
    async with serve() as server:
        link = await server.link("s3://stub/in/")
        async with server.client.get(link) as answer:
            request_id = answer.headers["X-Request-Id"]
            await answer.read()
        await server.idle()
        job = await Client(server.client, server.base).archived()
        async with server.client.get(
            f"{server.base}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"}
        ) as answer:
            assert answer.content_type == "application/openmetrics-text"
            families = openmetrics.text_string_to_metric_families(await answer.text())  # type: ignore[no-untyped-call]
    exemplars: dict[str, list[dict[str, str]]] = {}
    for family in families:
        for sample in family.samples:
            if sample.exemplar:
                exemplars.setdefault(family.name, []).append(sample.exemplar.labels)
    assert exemplars["bucketzip_download_seconds"] == [{"request_id": request_id}]
    assert {"request_id": request_id} in exemplars["bucketzip_http_request_seconds"]
    assert len(exemplars["bucketzip_plan_seconds"]) == 1
    assert exemplars["bucketzip_archive_seconds"] == [{"job": job["id"]}]


async def test_no_credentials_have_expired_long_ago() -> None:
    async with CredentialKeeper().running() as keeper:
        assert keeper.expiry == 0 < time.time()


async def test_promtool_finds_nothing_to_say(stub: LyingS3, serve: Any) -> None:
    """Of names, units, help and types, with something in all of the common ones."""
    stub.objects.put("a", Synthetic(100, 1))
    async with serve() as server:
        await server.zip("s3://stub/a")
        await server.idle()
        server.app[keys.METRICS].retries.labels("stall").inc()
        async with server.client.get(f"{server.base}/metrics") as answer:
            text = await answer.read()
    checked = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
