"""A store that serves objects as S3 does, until a test makes it lie.

No server misbehaves on demand, so this one does. It runs in the test's own loop, takes any credentials, and keeps
every request. aiohttp parses what arrives, strictly; what goes out is written byte by byte (`http_reply.py`). What a
lie refuses is not done; what it only answers wrongly is.
"""

import secrets
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.faults.asked import Asked
from tests.faults.checksums import ChecksumType
from tests.faults.content import Content
from tests.faults.honest_s3 import answer
from tests.faults.http_reply import Pauses, Reply, send
from tests.faults.objects import Objects
from tests.faults.store import Store, Upload

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
        self,
        objects: Mapping[str, bytes | Content] | None = None,
        *,
        versioned: bool = False,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.objects = Objects(versioned=versioned)
        self.store = Store(self.bucket, self.objects)
        for key, content in (objects or {}).items():
            self.objects.put(key, content)
        self.requests: list[Asked] = []
        self.under_way = 0
        self.most_under_way = 0
        self._pauses = Pauses()
        self._ssl_context = ssl_context
        self._rules: list[Rule] = []

    def on(self, applies: Predicate, lie: Lie, *, skip: int = 0, times: int | None = None) -> None:
        """Lie to requests that `applies` picks: not the first `skip` of them, and `times` of them (None: all).

        Lies add up: each gets what the one before it made of the answer.
        """
        self._rules.append(Rule(applies, lie, skip, times))

    @property
    def versioned(self) -> bool:
        """Whether the bucket keeps versions; may be switched on and off, as that of S3 may."""
        return self.objects.versioned

    @versioned.setter
    def versioned(self, yes: bool) -> None:
        self.objects.versioned = yes

    def begin_upload(self, key: str, checksum_type: ChecksumType | None = None) -> Upload:
        """Start a multipart upload as somebody else would."""
        upload = Upload(secrets.token_hex(8), key, checksum_type)
        self.store.uploads[upload.upload_id] = upload
        return upload

    @property
    def uploads_left(self) -> list[Upload]:
        """Multipart uploads that were neither completed nor aborted."""
        return list(self.store.uploads.values())

    @property
    def counts(self) -> Counter[str]:
        """How often each operation was asked for: `stub.counts["UploadPartCopy"]`."""
        return Counter(asked.operation for asked in self.requests)

    @property
    def pausing(self) -> int:
        """Requests under way whose answers wait, for a time to pass or for the test."""
        return self._pauses.waiting

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
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            asked.body = await request.content.read()
            reply = answer(self.store, asked)
            for rule in self._rules:
                if rule.takes(asked):
                    reply = rule.lie(asked, reply)
            reply.effect()
            sent = await send(reply, request.writer, self._pauses, without_body=asked.method == "HEAD")
        finally:
            self.under_way -= 1
            # Looked at here, since a client that leaves shows as a cancellation or as a broken write.
            asked.client_left = request.transport is None or request.transport.is_closing()
        asked.finished = not asked.client_left
        return sent


def gets(key: str | None = None) -> Predicate:
    """Pick GETs of one object, or of any."""
    return does("GetObject", key)


def heads(key: str | None = None) -> Predicate:
    return does("HeadObject", key)


def lists(prefix: str | None = None) -> Predicate:
    """Pick pages of listings; `on(lists(), ..., skip=6, times=1)` is the seventh page."""
    return lambda asked: asked.operation == "ListObjectsV2" and prefix in {None, asked.query.get("prefix", "")}


def does(operation: str, key: str | None = None) -> Predicate:
    """Pick requests by the name of the API reference: `on(does("UploadPartCopy"), ...)`."""
    return lambda asked: asked.operation == operation and key in {None, asked.key}


def anything(asked: Asked) -> bool:
    return True
