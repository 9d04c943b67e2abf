"""An HTTP proxy that gives an origin S3's bad moments: `python -m bench.trouble PORT TARGET_PORT JSON`.

GETs of objects take as long as S3 takes, some of them far longer, and those above a rate are refused with 503 SlowDown.
Everything else passes. Which request is slow is drawn anew each time, from a fixed seed. `GET /.trouble` tells what
there was. A process of its own, so that its CPU time is nobody's but its own.
"""

import asyncio
import json
import random
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from bench.cores import SURROUNDINGS
from bench.processes import free_port, running, wait_until_ready

_BACKLOG = 1024
_COUNTS = "/.trouble"
_ERROR = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_REFUSAL = b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%b"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to GETs of objects."""

    #: Until the first byte.
    seconds: float
    #: So many of them are slow,
    slow_share: float = 0.0
    #: so many times as slow: the first byte, and the pace of the body.
    slow_factor: float = 50.0
    #: Of one body; 0 for as fast as it goes.
    bytes_per_second: float = 0.0
    #: More than these are refused; 0 for no limit.
    most_per_second: float = 0.0


@dataclass(slots=True)
class Counts:
    """GETs of objects, since the start."""

    requests: int = 0
    slow: int = 0
    refused: int = 0

    def since(self, before: "Counts") -> "Counts":
        """What came later."""
        return Counts(self.requests - before.requests, self.slow - before.slow, self.refused - before.refused)


class _Weather:
    """What all connections share."""

    def __init__(self, target_port: int, trouble: Trouble) -> None:
        self.target_port = target_port
        self.trouble = trouble
        self.counts = Counts()
        self._chance = random.Random(1)
        self._saved, self._saved_at = 1.0, time.monotonic()

    def is_slow(self) -> bool:
        self.counts.requests += 1
        slow = self._chance.random() < self.trouble.slow_share
        self.counts.slow += slow
        return slow

    def is_refused(self) -> bool:
        """A token bucket that holds those of a tenth of a second."""
        rate, now = self.trouble.most_per_second, time.monotonic()
        self._saved = min(rate / 10, self._saved + (now - self._saved_at) * rate)
        self._saved_at = now
        refused = bool(rate) and self._saved < 1
        self._saved -= not refused
        self.counts.refused += refused
        return refused


class _FromClient(asyncio.Protocol):
    """Requests come one after the other, without bodies."""

    def __init__(self, weather: _Weather) -> None:
        self._weather = weather
        self._loop = asyncio.get_running_loop()
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client = cast("asyncio.Transport", transport)
        self.client.pause_reading()
        self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        _, self._origin = await self._loop.create_connection(
            lambda: _FromOrigin(self.client), "127.0.0.1", self._weather.target_port
        )
        if not self.client.is_closing():
            self.client.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._request += data
        if not self._request.endswith(b"\r\n\r\n"):
            return
        request, self._request = self._request, b""
        method, target, _ = request.split(b" ", 2)
        weather, trouble = self._weather, self._weather.trouble
        if target == _COUNTS.encode():
            told = json.dumps(asdict(weather.counts)).encode()
            self.client.write(_ANSWER % (len(told), told))
        elif method != b"GET" or b"?" in target or not target.strip(b"/").count(b"/"):
            self._origin.seconds_per_byte = 0.0
            self._origin.to.write(request)
        else:
            factor = trouble.slow_factor if weather.is_slow() else 1
            self._origin.seconds_per_byte = factor / trouble.bytes_per_second if trouble.bytes_per_second else 0.0
            if weather.is_refused():
                self._loop.call_later(trouble.seconds, self.client.write, _REFUSAL % (len(_ERROR), _ERROR))
            else:
                self._loop.call_later(trouble.seconds * factor, self._origin.to.write, request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._opening.add_done_callback(lambda _: self._origin.to.abort())


class _FromOrigin(asyncio.Protocol):
    """Answers, at the pace of the request."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self.seconds_per_byte = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.to = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._client.write(data)
        if self.seconds_per_byte:
            self.to.pause_reading()
            self._loop.call_later(len(data) * self.seconds_per_byte, self._resume)

    def _resume(self) -> None:
        if not self.to.is_closing():
            self.to.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()


async def _serve(port: int, target_port: int, trouble: Trouble) -> None:
    weather = _Weather(target_port, trouble)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _FromClient(weather), "127.0.0.1", port, backlog=_BACKLOG)
    await server.serve_forever()


@contextmanager
def troubled(target_port: int, trouble: Trouble, run: Path) -> Iterator[tuple[int, Callable[[], Counts]]]:
    """The proxy as a child; its port, and what it counts."""
    port, log = free_port(), run / "trouble.log"
    command = [sys.executable, "-m", "bench.trouble", str(port), str(target_port), json.dumps(asdict(trouble))]

    def counts() -> Counts:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}{_COUNTS}", timeout=10) as answer:
            return Counts(**json.load(answer))

    with running(command, cores=SURROUNDINGS, log=log) as process:
        wait_until_ready(process, port, log)
        yield port, counts


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), Trouble(**json.loads(sys.argv[3]))))
