"""`bucketzip work`, and how commands end by signals."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.s3 import multipart
from tests.bucket import Bucket
from tests.command import Running, begun, serving
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, does
from tests.test_cli import run
from tests.test_zip_to_bucket import unanswered
from tests.web.serving import stub_environment

MIB = 1 << 20


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def accepted(client: aiohttp.ClientSession, base: str, source: str, destination: str) -> str:
    """The address of a job that a server took."""
    async with client.post(f"{base}/archives", json={"sources": [source], "destination": destination}) as answer:
        assert answer.status == 202, await answer.text()
        return answer.headers["Location"]


async def job_at(client: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with client.get(url) as answer:
        told: dict[str, Any] = await answer.json()
        return told


async def over(client: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """The job at its end: the stream of its events ends with it."""
    async with client.get(f"{url}/events") as events:
        await events.read()
    return await job_at(client, url)


async def test_it_runs_what_a_server_accepted(
    s3_server: EmbeddedS3, bucket: Bucket, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    await bucket.put("in/a", b"content")
    environment = s3_server.environment()
    with serving(environment, tmp_path, "--run-jobs=false", "--state-dir=shared") as server:
        url = await accepted(client, server.base, bucket.url("in/"), bucket.url("out/a.zip"))
        assert (await job_at(client, url))["state"] == "queued"
        async with begun(environment, tmp_path, "work", "--state-dir=shared") as running:
            assert (await over(client, url))["state"] == "succeeded"
            done = await running.ended_by(signal.SIGTERM)
        assert (done.status, done.out) == (0, b"")
        assert f"looking for archives in shared pid={running.process.pid}\n" in done.said
        assert done.said.endswith("info stopped: archives that are not done stay where they stand\n")
        assert "Traceback" not in done.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_soon_and_goes_on_later(
    number: signal.Signals, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with LyingS3({"a": Synthetic(12 * MIB), "b": b"small"}) as stub:
        environment, arrived = stub_environment(stub.endpoint_url), asyncio.Event()
        stub.on(does("UploadPart"), unanswered(arrived))
        with serving(environment, tmp_path, "--run-jobs=false", "--state-dir=shared") as server:
            url = await accepted(client, server.base, "s3://stub/", "s3://stub/out/a.zip")
            async with begun(environment, tmp_path, "work", "--state-dir=shared") as running:
                await arrived.wait()
                began = time.monotonic()
                assert (await running.ended_by(number)).status == 0
                assert time.monotonic() - began < multipart.STALL_SECONDS, "it did not wait for S3's answer"
            assert (await job_at(client, url))["state"] == "running"
            stub.stop_lying()
            stub.requests.clear()
            async with begun(environment, tmp_path, "work", "--state-dir=shared"):
                assert (await over(client, url))["state"] == "succeeded"
            assert not stub.counts["UploadPartCopy"]


def test_help_tells_what_it_needs_and_nothing_of_http() -> None:
    status, said, _ = run("work", "--help")
    assert status == 0
    assert "bucketzip work  --state-dir /var/lib/bucketzip" in said
    assert "--memory-bytes" in said
    assert "--job-patience-seconds" in said
    for option in ("--host", "--port", "--drain-seconds", "--run-jobs "):
        assert f"  {option}" not in said


STUCK = """
import asyncio, sys, time
from bucketzip.commands import signals

signals.STOP_SECONDS = float(sys.argv[1])

async def work():
    working = asyncio.to_thread(time.sleep, 600)
    print("working", flush=True)
    await working

asyncio.run(signals.interruptible(work()))
"""


async def stuck(stop_seconds: float) -> Running:
    """A process with a thread that cannot be stopped."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STUCK, str(stop_seconds)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"working\n"
    return Running(process)


async def test_a_thread_that_goes_on_does_not_hold_up_the_end() -> None:
    running = await stuck(stop_seconds=0.2)
    assert await running.ended_by(signal.SIGTERM) == (143, b"", "")


async def test_a_second_signal_ends_it_at_once() -> None:
    running = await stuck(stop_seconds=600)
    with suppress(ProcessLookupError):
        while running.process.returncode is None:  # where they come too soon, two are one to the kernel
            running.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.1)
    assert (await running.done()).status == -signal.SIGINT
