"""A store that serves objects as S3 does, until a test makes it lie.

No server misbehaves on demand, so this one does. It runs in the test's own loop, takes any credentials, and keeps
every request. aiohttp parses what arrives, strictly; what goes out is written byte by byte (`http_reply.py`).
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.faults.content import Content
from tests.faults.honest_s3 import Asked, Objects, answer
from tests.faults.http_reply import Reply, send

Predicate = Callable[[Asked], bool]
Lie = Callable[[Asked, Reply], Reply]  # gets the honest answer, returns the one to send


@dataclass(slots=True)
class Rule:
    applies: Predicate
    lie: Lie
    skip: int
    times: int | None
    seen: int = 0

    def takes(self, asked: Asked) -> bool:
        if not self.applies(asked):
            return False
        self.seen += 1
        return self.seen > self.skip and (self.times is None or self.seen <= self.skip + self.times)


class LyingS3:
    """`async with LyingS3({"key": b"bytes"}) as stub:` serves the bucket `stub.bucket` at `stub.endpoint_url`."""

    bucket = "stub"
    endpoint_url: str
    port: int

    def __init__(
        self, objects: Mapping[str, bytes | Content] | None = None, *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.objects = Objects()
        for key, content in (objects or {}).items():
            self.objects.put(key, content)
        self.requests: list[Asked] = []
        self.under_way = 0
        self.most_under_way = 0
        self._ssl_context = ssl_context
        self._rules: list[Rule] = []

    def on(self, applies: Predicate, lie: Lie, *, skip: int = 0, times: int | None = None) -> None:
        """Lie to requests that `applies` picks: not the first `skip` of them, and `times` of them (None: all).

        Lies add up: each gets what the one before it made of the answer.
        """
        self._rules.append(Rule(applies, lie, skip, times))

    def stop_lying(self) -> None:
        self._rules.clear()

    async def __aenter__(self) -> Self:
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._ssl_context).start()
        self.port = self._runner.addresses[0][1]
        self.endpoint_url = f"{'https' if self._ssl_context else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = Asked(request.method, request.raw_path, request.headers)
        self.requests.append(asked)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            asked.body = await request.content.read()
            reply = answer(self.bucket, self.objects, asked)
            for rule in self._rules:
                if rule.takes(asked):
                    reply = rule.lie(asked, reply)
            sent = await send(reply, request.writer, without_body=asked.method == "HEAD")
        finally:
            self.under_way -= 1
            # Looked at here, since a client that leaves shows as a cancellation or as a broken write.
            asked.client_left = request.transport is None or request.transport.is_closing()
        asked.finished = not asked.client_left
        return sent


def gets(key: str | None = None) -> Predicate:
    """Pick GETs of one object, or of any."""
    return lambda asked: asked.method == "GET" and bool(asked.key) and key in {None, asked.key}


def heads(key: str | None = None) -> Predicate:
    return lambda asked: asked.method == "HEAD" and bool(asked.key) and key in {None, asked.key}


def lists(prefix: str | None = None) -> Predicate:
    """Pick pages of listings; `on(lists(), ..., skip=6, times=1)` is the seventh page."""
    return lambda asked: "list-type" in asked.query and prefix in {None, asked.query.get("prefix", "")}


def anything(asked: Asked) -> bool:
    return True
