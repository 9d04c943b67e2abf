"""Lines that break, stall and never come up: a read goes on from the byte it had reached, or says what is wrong."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from bench.certificates import make_certificate
from bucketzip.embedded import EmbeddedS3
from bucketzip.errors import S3Unreachable
from bucketzip.s3 import pool
from bucketzip.s3 import reader as reader_module
from bucketzip.transfer.blocks import BLOCK_BYTES, SMALL_BLOCK_BYTES, SMALL_BODY_BYTES
from tests.clock import standing_still
from tests.faults.lying_s3 import LyingS3
from tests.faults.proxy import Cut, Fault, FaultProxy
from tests.s3.conftest import Origin
from tests.s3.reading import (
    Reading,
    Thing,
    by_way_of,
    fails_with,
    of_stub,
    port_of,
    reading,
    stubbed,
)

KIB, MIB = 1 << 10, 1 << 20
NOWHERE = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1"}


@pytest.fixture
def fresh_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request gets a connection of its own, so that the proxy's faults hit those they are meant for."""
    monkeypatch.setattr(pool, "OLDEST_SECONDS", -1.0)


@pytest.fixture
def quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "WATCH_SECONDS", 0.05)


@asynccontextmanager
async def through_proxy(origin: Origin, **limits: float) -> AsyncIterator[tuple[FaultProxy, Reading]]:
    async with (
        FaultProxy("127.0.0.1", port_of(origin.server)) as proxy,
        reading(by_way_of(origin.server, proxy.port), **limits) as reader,
    ):
        yield proxy, reader


def hit_next(proxy: FaultProxy, fault: Fault) -> None:
    """The next connection alone."""
    hit = proxy.connections
    proxy.choose = lambda index: fault if index == hit else None


def borders(head_bytes: int, body_bytes: int) -> Iterator[int]:
    """Where an answer may be cut so that something is only just there, or only just not."""
    in_body = [0, SMALL_BODY_BYTES, SMALL_BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES + SMALL_BLOCK_BYTES, body_bytes]
    at = {0, 1, 20, head_bytes - 4} | {head_bytes + border + off for border in in_body for off in (-1, 0, 1)}
    return (each for each in sorted(at) if each <= head_bytes + body_bytes)


@pytest.mark.usefixtures("fresh_connections")
@pytest.mark.parametrize("cut", [Cut.RESET, Cut.FIN])
@pytest.mark.parametrize("size", [10 * KIB, BLOCK_BYTES + SMALL_BLOCK_BYTES + 1000])
async def test_cut_at_every_border(s3_server: EmbeddedS3, stored: dict[str, Thing], cut: Cut, size: int) -> None:
    """And never more is read again than has to be."""
    async with through_proxy(Origin(s3_server, stored)) as (proxy, reader):
        await reader.start(stored["large"], 5, 5 + size).right()
        head_bytes = proxy.bytes_down - size
        for at in borders(head_bytes, size):
            before = proxy.bytes_down
            hit_next(proxy, Fault(at, cut))
            read = reader.start(stored["large"], 5, 5 + size)
            await read.right()
            whole = at == head_bytes + size
            had = max(0, at - head_bytes) if size > SMALL_BODY_BYTES else 0
            expected = at if whole else at + head_bytes + size - had
            assert abs(proxy.bytes_down - before - expected) <= 10, at  # digits of another Content-Range
        assert reader.retries("connection") > 5


@pytest.mark.usefixtures("fresh_connections")
@pytest.mark.parametrize("cut", [Cut.RESET, Cut.FIN])
async def test_cut_over_tls(tls_s3_server: EmbeddedS3, tls_stored: dict[str, Thing], cut: Cut) -> None:
    """FIN is an end without close_notify. The first few hit the handshake."""
    async with through_proxy(Origin(tls_s3_server, tls_stored)) as (proxy, reader):
        await reader.start(tls_stored["large"]).right()
        one_read = proxy.bytes_down
        for at in (0, 1, 1500, 3000, 20_000, 300_000, 2 * MIB + 12_345, one_read - 1):
            before = proxy.bytes_down
            hit_next(proxy, Fault(at, cut))
            await reader.start(tls_stored["large"]).right()
            # What a reset overtakes is lost, and a record that has not come whole.
            assert proxy.bytes_down - before < one_read + 320 * KIB, at
        assert reader.retries("connection") >= 7


async def test_cut_again_and_again(origin: Origin) -> None:
    """Progress forgives: more breaks than there are tries."""
    size = 4 * MIB
    async with through_proxy(origin, tries=3) as (proxy, reader):
        proxy.choose = lambda index: Fault(400_000, (Cut.RESET, Cut.FIN)[index % 2])
        await reader.start(origin.things["large"], 0, size).right()
        assert reader.retries("connection") >= 10
        assert proxy.bytes_down < size + proxy.connections * 330 * KIB
        assert proxy.connections < 40


async def test_small_reads_over_a_line_that_breaks(s3_server: EmbeddedS3, stored: dict[str, Thing]) -> None:
    async with through_proxy(Origin(s3_server, stored), connections=8) as (proxy, reader):
        proxy.choose = lambda index: Fault(20_000 + 1000 * (index % 7), Cut.RESET)
        reads = [reader.start(stored["large"], at, at + 5000) for at in range(0, 1_000_000, 10_000)]
        for read in reads:
            await read.right()
        assert proxy.connections > 20


@pytest.mark.usefixtures("fresh_connections")
async def test_stalls(origin: Origin) -> None:
    async with through_proxy(origin, stall_seconds=2, hedging=0) as (proxy, reader):
        await reader.start(origin.things["large"], 0, MIB).right()
        with standing_still() as clock:
            for times, at in ((1, 100_000), (2, 900_000)):
                hit_next(proxy, Fault(at, Cut.STALL))
                stalled_at = proxy.bytes_down + at
                read = reader.start(origin.things["large"], 0, MIB)
                await clock.until(lambda: proxy.bytes_down >= stalled_at)  # noqa: B023  -- called in this turn alone
                await clock.run(lambda: reader.retries("stall") == times, idle=lambda: True)  # noqa: B023  -- as above
                await clock.run(read.ended.is_set, idle=lambda: not reader.in_flight)
                await read.right()
        assert reader.outcomes("stall") == 2


@pytest.mark.usefixtures("quick_watch")
async def test_a_line_that_never_brings_a_byte(
    s3_server: EmbeddedS3, stored: dict[str, Thing], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with through_proxy(Origin(s3_server, stored), stall_seconds=0.1, tries=2) as (proxy, reader):
        proxy.choose = lambda _: Fault(0, Cut.STALL)
        message = await fails_with(S3Unreachable, reader.start(stored["small"]).right())
        assert message == f"s3://{stored['small'].bucket}/small: TimeoutError: no byte for 0.1 s"
        assert proxy.connections == 2


@pytest.mark.parametrize("cut", [Cut.RESET, Cut.FIN])
async def test_a_line_that_always_breaks(s3_server: EmbeddedS3, stored: dict[str, Thing], cut: Cut) -> None:
    async with through_proxy(Origin(s3_server, stored), tries=3) as (proxy, reader):
        proxy.choose = lambda _: Fault(0, cut)
        message = await fails_with(S3Unreachable, reader.start(stored["small"]).right())
        assert message.startswith(f"s3://{stored['small'].bucket}/small: ConnectionResetError: ")
        assert proxy.connections == 3


@pytest.mark.parametrize("how", ["plain", "before the handshake", "after the handshake"])
async def test_closed_as_soon_as_it_is_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str) -> None:
    """By a load balancer with nothing behind it. That must not become a storm of connections."""
    accepted = 0
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.close()

    async def connect_slowly(*args: Any) -> None:
        await connect(*args)
        await asyncio.sleep(0.02)  # so the end is there before the beginning was noticed

    monkeypatch.setattr(loop, "sock_connect", connect_slowly)
    certificate = make_certificate(tmp_path / "tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where the server has the last word of the handshake
    handshake = context if how == "after the handshake" else None
    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=handshake)
    port = server.sockets[0].getsockname()[1]
    environment = {
        **NOWHERE,
        "AWS_ENDPOINT_URL_S3": f"{'http' if how == 'plain' else 'https'}://127.0.0.1:{port}",
        "AWS_CA_BUNDLE": str(certificate.authority),
    }
    async with server, reading(environment, tries=3, connections=4) as reader, LyingS3({"key": b"data"}) as stub:
        for read in [reader.start(stubbed(stub, "key")) for _ in range(8)]:
            await fails_with(S3Unreachable, read.right())
        assert 8 <= accepted <= 8 * 3 + 4


async def test_nobody_listens() -> None:
    async with LyingS3({"key": b"data"}) as stub:
        thing, environment = stubbed(stub, "key"), of_stub(stub)
    async with reading(environment, tries=3) as reader:
        message = await fails_with(S3Unreachable, reader.start(thing).right())
        assert message.startswith("s3://stub/key: ConnectionRefusedError: ")
        assert reader.retries("connection") == 2


async def test_refused_more_reads_than_connections() -> None:
    """Each of them ends, although none of them ever gets a connection."""
    async with LyingS3({"key": b"data"}) as stub:
        thing, environment = stubbed(stub, "key"), of_stub(stub)
    async with reading(environment, tries=1, connections=2) as reader:
        for read in [reader.start(thing) for _ in range(20)]:
            await fails_with(S3Unreachable, read.right())


async def test_unknown_host() -> None:
    async with LyingS3({"key": b"data"}) as stub:
        thing = stubbed(stub, "key")
    async with reading({**NOWHERE, "AWS_ENDPOINT_URL_S3": "http://no-such-host.invalid"}, tries=2) as reader:
        message = await fails_with(S3Unreachable, reader.start(thing).right())
        assert "no-such-host.invalid" in message


async def test_a_host_some_of_whose_addresses_are_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `localhost` is where it stands for ::1 too: the next address is tried at once."""
    loop = asyncio.get_running_loop()

    async def look_up(host: str, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1", "127.0.0.3")]

    async with LyingS3({"key": b"data"}) as stub:
        environment = {**of_stub(stub), "AWS_ENDPOINT_URL_S3": f"http://s3.example.com:{stub.port}/"}
        async with reading(environment, tries=1) as reader:
            monkeypatch.setattr(loop, "getaddrinfo", look_up)
            thing = stubbed(stub, "key")
            reader.s3._routes["stub"] = (await reader.s3.route("stub"))._replace(path_prefix="/stub")
            for read in [reader.start(thing) for _ in range(5)]:
                await read.right()


async def test_a_certificate_that_nobody_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path / "tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    async with LyingS3({"key": b"data"}, ssl_context=context) as stub:
        async with reading(of_stub(stub)) as reader:
            message = await fails_with(S3Unreachable, reader.start(stubbed(stub, "key")).right())
            assert message.startswith("s3://stub/key: ")
            assert "certificate" in message
            assert "AWS_CA_BUNDLE" in message
            assert reader.retries("connection") == 0, "waiting does not mend it"
        async with reading({**of_stub(stub), "AWS_CA_BUNDLE": str(certificate.authority)}) as reader:
            await reader.start(stubbed(stub, "key")).right()


async def test_a_certificate_for_somebody_else(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("s3.example.com").configure_cert(context)
    async with (
        LyingS3({"key": b"data"}, ssl_context=context) as stub,
        reading({**of_stub(stub), "AWS_CA_BUNDLE": str(tmp_path / "authority.pem")}) as reader,
    ):
        message = await fails_with(S3Unreachable, reader.start(stubbed(stub, "key")).right())
        assert "127.0.0.1" in message
        assert not stub.requests


async def test_tls_where_there_is_none() -> None:
    async with LyingS3({"key": b"data"}) as stub:
        environment = {**of_stub(stub), "AWS_ENDPOINT_URL_S3": f"https://127.0.0.1:{stub.port}"}
        async with reading(environment, tries=2) as reader:
            assert "SSLError" in await fails_with(S3Unreachable, reader.start(stubbed(stub, "key")).right())
