"""A real Prometheus, on a free port of loopback, that scrapes one server."""

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

SCRAPE_SECONDS = 1
START_SECONDS = 30


class Prometheus:
    """Asked by its HTTP API."""

    def __init__(self, client: aiohttp.ClientSession, base: str) -> None:
        self._client = client
        self._base = base
        self._began = time.time()

    async def values(self, label: str, selector: str) -> list[str]:
        """The values of a label among the series of a selector."""
        found = await self._get(f"label/{label}/values", {"match[]": selector})
        return [str(value) for value in found]

    async def has_values(self, expression: str) -> bool:
        """Whether there was a series with a number in it (infinity is one) at any time since the beginning."""
        asked = {"query": expression, "start": self._began, "end": time.time(), "step": SCRAPE_SECONDS}
        series = (await self._get("query_range", asked))["result"]
        return any(not math.isnan(float(value)) for each in series for _, value in each["values"])

    async def value(self, expression: str) -> float:
        """The sum of what an expression says now; 0 where it says nothing."""
        found = (await self._get("query", {"query": expression}))["result"]
        return sum(float(each["value"][1]) for each in found)

    async def exemplars(self, selector: str) -> list[dict[str, str]]:
        """The labels of those that were kept for these series since the beginning."""
        found = await self._get("query_exemplars", {"query": selector, "start": self._began, "end": time.time()})
        return [exemplar["labels"] for series in found for exemplar in series["exemplars"]]

    async def _get(self, path: str, parameters: dict[str, Any]) -> Any:
        async with self._client.get(f"{self._base}/api/v1/{path}", params=parameters) as answer:
            told = await answer.json()
        assert told["status"] == "success", (parameters, told)
        return told["data"]


@asynccontextmanager
async def prometheus(work: Path, server: str) -> AsyncIterator[Prometheus]:
    """Scrape the server at this URL."""
    target = {"job_name": "bucketzip", "static_configs": [{"targets": [urlsplit(server).netloc]}]}
    configuration = {"global": {"scrape_interval": f"{SCRAPE_SECONDS}s"}, "scrape_configs": [target]}
    (work / "prometheus.yml").write_text(json.dumps(configuration))
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--enable-feature=exemplar-storage",
        "--web.listen-address=127.0.0.1:0",
        cwd=work,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        async with aiohttp.ClientSession() as client:
            async with asyncio.timeout(START_SECONDS):
                address = await _said(process.stderr, rb'msg="Listening on" address=(\S+)')
                await _said(process.stderr, b"(ready to receive web requests)")
            reading = asyncio.create_task(process.stderr.read())  # a full pipe would stop it
            yield Prometheus(client, f"http://{address}")
    finally:
        process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def _said(log: asyncio.StreamReader, pattern: bytes) -> str:
    async for line in log:
        if found := re.search(pattern, line):
            return found[1].decode()
    raise AssertionError("Prometheus has ended")
