"""The whole server in the test's own loop, on a real socket, against whatever S3 the environment names."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web, web_app
from blockbuster import blockbuster_ctx

from bucketzip.app import build_app
from bucketzip.commands.tls import Certificate
from bucketzip.settings import Settings
from bucketzip.state import scrypt
from bucketzip.web import keys
from bucketzip.web.middleware import AccessLogger, unexpected


class Answer(NamedTuple):
    """What a client asked, and how the answer to it began."""

    method: str
    headers: Mapping[str, str]
    status: int


class Server:
    """A running server, and a client of it. `answers` has all that it began to give, to this client and to others."""

    def __init__(self, app: web.Application, base: str, client: aiohttp.ClientSession, answers: list[Answer]) -> None:
        self.app = app
        self.base = base
        self.client = client
        self.answers = answers

    async def ask(self, *sources: Any, **more: Any) -> tuple[int, dict[str, Any]]:
        """POST /downloads; the status and the answer."""
        async with self.client.post(f"{self.base}/downloads", json={"sources": sources, **more}) as answer:
            return answer.status, await answer.json()

    async def link(self, *sources: Any, **more: Any) -> str:
        """A link that must be had."""
        status, answer = await self.ask(*sources, **more)
        assert status == 201, answer
        return str(answer["url"])

    async def fetch(self, url: str) -> bytes:
        """The whole of what a link gives, which must have the announced length."""
        async with self.client.get(url) as answer:
            assert answer.status == 200, await answer.text()
            body = await answer.read()
            assert len(body) == answer.content_length
            return body

    async def error(self, url: str) -> tuple[int, dict[str, Any]]:
        """The status and the error of a link that does not work."""
        async with self.client.get(url) as answer:
            return answer.status, await answer.json()

    async def zip(self, *sources: Any, **more: Any) -> bytes:
        """The archive of the sources."""
        return await self.fetch(await self.link(*sources, **more))

    async def metric(self, name: str) -> float:
        """The sum over all labels of what /metrics says."""
        async with self.client.get(f"{self.base}/metrics") as answer:
            text = await answer.text()
        return sum(
            float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        )

    async def idle(self) -> None:
        """Wait until no download is active and nothing is held for one."""
        budget = self.app[keys.OWN].engine.budget
        for _ in range(2000):
            if not await self.metric("bucketzip_downloads_active") and not budget.used_bytes:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"still active, {budget.used_bytes} bytes held")


@asynccontextmanager
async def serving(
    environment: Mapping[str, str],
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    certificate: Certificate | None = None,
    *,
    trusted_cidrs: str = "127.0.0.0/8",
    **settings: Any,
) -> AsyncIterator[Server]:
    """Serve from `environment`'s S3, with the state directory `state`; by HTTPS where there is a certificate.

    Nobody here needs a token by default.
    """
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        scrypt, "LOG2_N", 4
    )  # else a secret takes 50 ms, and each server makes one; tests/state has those
    app = build_app(Settings(port=0, state_dir=state, drain_seconds=0, trusted_cidrs=trusted_cidrs, **settings))
    answers: list[Answer] = []

    async def note(request: web.Request, response: web.StreamResponse) -> None:
        answers.append(Answer(request.method, request.headers, response.status))

    app.on_response_prepare.append(note)
    log = logging.getLogger("bucketzip.http")
    log.addFilter(unexpected)
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        access_log_class=AccessLogger,
        logger=log,
        shutdown_timeout=0.1,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context if certificate else None).start()
        trusting = aiohttp.TCPConnector(ssl=False)
        async with aiohttp.ClientSession(
            auto_decompress=False, timeout=aiohttp.ClientTimeout(50), connector=trusting
        ) as client:
            # From here on, a blocking call of ours in the loop would hold up every download.
            with blockbuster_ctx("bucketzip") as blockbuster:
                for function in blockbuster.functions.values():  # /proc is read there, which no disk delays
                    function.can_block_in("bucketzip/metrics.py", "exposition")
                scheme = "https" if certificate else "http"
                yield Server(app, f"{scheme}://127.0.0.1:{runner.addresses[0][1]}", client, answers)
    finally:
        await runner.cleanup()
        # aiohttp keeps the last 1,024 applications there, each with all the memory of its machine.
        web_app._cached_build_middleware.cache_clear()


def stub_environment(endpoint_url: str) -> dict[str, str]:
    """What points the server at a stub that takes any keys."""
    return {
        "AWS_ENDPOINT_URL_S3": endpoint_url,
        "AWS_ACCESS_KEY_ID": "stub",
        "AWS_SECRET_ACCESS_KEY": "stub",
        "AWS_REGION": "us-east-1",
    }
