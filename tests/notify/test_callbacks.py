"""Callbacks to real receivers, and to places that they must not reach."""

import asyncio
import functools
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from email.utils import formatdate

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from bucketzip.networks import parse_networks
from bucketzip.notify import callbacks as module
from bucketzip.notify.callbacks import Callbacks
from bucketzip.notify.event import Event
from bucketzip.notify.failure import NotDelivered
from bucketzip.notify.signature import callback_secret
from bucketzip.state.instance_key import InstanceKey
from tests.notify.conftest import Tls
from tests.notify.documented import verifier
from tests.notify.receiver import LOOPBACK, receiving

KEY = InstanceKey(b"k" * 32)


def made(
    networks: str = "127.0.0.1/32",
    resolver: AbstractResolver | None = None,
    tls: Callable[[], ssl.SSLContext] = functools.cache(ssl.create_default_context),  # noqa: B008  -- shared on purpose
) -> Callbacks:
    return Callbacks(KEY, parse_networks(networks), tls, resolver)


async def failure(callbacks: Callbacks, url: str, event: Event) -> NotDelivered:
    with pytest.raises(NotDelivered) as raised:
        await callbacks.send(url, event)
    return raised.value


class Names(AbstractResolver):
    """Says where names lead: each time it is asked, the next answer, and the last one for ever. None is an error."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def test_it_is_told_and_signed_so_that_the_documented_code_takes_it(event: Event) -> None:
    async with receiving() as receiver:
        assert await made().send(receiver.url, event) == "HTTP 204"
        got = await receiver.next()
    assert got.path == "/done"
    assert json.loads(got.body) == {
        "id": "0123456789abcdef",
        "type": "archive.succeeded",
        "time": "2023-11-14T22:13:20Z",
        "link": {"url": "https://zip.example.com/r/H3ste5PMEG53GkF9fXDhAg", "expires_at": "2023-11-15T22:13:20Z"},
        "data": {"id": "j", "state": "succeeded"},
    }
    assert got.headers["Bucketzip-Event"] == "archive.succeeded"
    assert got.headers["Bucketzip-Delivery"] == "0123456789abcdef"
    assert got.headers["Content-Type"] == "application/json"
    signed = got.headers["Bucketzip-Signature"]
    is_genuine = verifier(callback_secret(KEY, "somebody"))
    assert is_genuine(signed, got.body)
    assert not is_genuine(signed, got.body + b" ")
    assert not is_genuine(signed.replace("v1=", "v1=0")[:-1], got.body)
    assert not verifier(callback_secret(KEY, "another"))(signed, got.body)
    assert not verifier(callback_secret(InstanceKey(b"x" * 32), "somebody"))(signed, got.body)
    sent_at = int(signed[2:].partition(",")[0])
    assert abs(sent_at - time.time()) < 60
    stale = signed.replace(f"t={sent_at}", f"t={sent_at - 301}")
    assert not is_genuine(stale, got.body)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410])
async def test_what_no_other_attempt_would_mend_is_final(event: Event, status: int) -> None:
    async with receiving() as receiver:
        receiver.answers.append(web.Response(status=status))
        failed = await failure(made(), receiver.url, event)
    assert (str(failed).partition(":")[0], failed.final) == (f"HTTP {status}", True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_what_may_be_mended_is_tried_again(event: Event, status: int) -> None:
    async with receiving() as receiver:
        receiver.answers.append(web.Response(status=status))
        failed = await failure(made(), receiver.url, event)
    assert (str(failed), failed.final) == (f"HTTP {status}", False)


@pytest.mark.parametrize(
    ("said", "seconds"), [("120", 120), ("0", 0), ("-5", 0), ("soon", 0), ("9" * 400, float("inf"))]
)
async def test_a_receiver_says_when_to_come_again(event: Event, said: str, seconds: float) -> None:
    async with receiving() as receiver:
        receiver.answers.append(web.Response(status=503, headers={"Retry-After": said}))
        assert (await failure(made(), receiver.url, event)).retry_after_seconds == seconds


@pytest.mark.parametrize(("seconds", "least"), [(1000, 900), (-1000, 0)])
async def test_a_receiver_says_it_by_a_date(event: Event, seconds: int, least: int) -> None:
    async with receiving() as receiver:
        date = formatdate(time.time() + seconds, usegmt=True)
        receiver.answers.append(web.Response(status=503, headers={"Retry-After": date}))
        assert least <= (await failure(made(), receiver.url, event)).retry_after_seconds <= max(seconds, 0)


async def test_a_redirect_is_not_followed(event: Event) -> None:
    async with receiving() as elsewhere, receiving() as receiver:
        for target in (elsewhere.url, "http://169.254.169.254/latest/meta-data/"):
            receiver.answers.append(web.Response(status=307, headers={"Location": target}))
            failed = await failure(made(), receiver.url, event)
            assert failed.final
            assert "redirects are not followed" in str(failed)
        assert elsewhere.got.empty()


INNER = (
    "127.0.0.1",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",  # noqa: S104  -- nothing binds to it
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1%25lo]",
    "[fd00:ec2::254]",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "2852039166",
    "10.0.0.1",
)


@pytest.mark.parametrize("host", INNER)
async def test_however_an_inner_address_is_written_it_is_not_reached(event: Event, host: str) -> None:
    async with receiving() as receiver:
        port = receiver.url.rpartition(":")[2].partition("/")[0]
        failed = await failure(made(networks=""), f"http://{host}:{port}/", event)
        assert str(failed) in {"no callback may be sent to the address of this host", "this is not a URL"}
        assert failed.final
        assert receiver.got.empty()


async def test_a_name_that_leads_elsewhere_the_second_time_gains_nothing(event: Event) -> None:
    """Both times a server listens; what was looked up for the first attempt decides nothing for the next."""
    names = Names([LOOPBACK], ["127.0.0.2"])
    async with receiving() as allowed:
        port = int(allowed.url.rpartition(":")[2].partition("/")[0])
        async with receiving(host="127.0.0.2", port=port) as forbidden:
            callbacks = made(resolver=names)
            assert await callbacks.send(f"http://receiver.test:{port}/", event) == "HTTP 204"
            assert (await failure(callbacks, f"http://receiver.test:{port}/", event)).final
            assert (allowed.got.qsize(), forbidden.got.qsize()) == (1, 0)


async def test_of_many_addresses_of_a_name_only_the_allowed_are_tried(event: Event) -> None:
    async with receiving(host="127.0.0.2") as forbidden:
        port = int(forbidden.url.rpartition(":")[2].partition("/")[0])
        async with receiving(port=port) as allowed:
            names = Names(["127.0.0.2", "fe80::1", LOOPBACK])
            assert await made(resolver=names).send(f"http://receiver.test:{port}/", event) == "HTTP 204"
            assert (allowed.got.qsize(), forbidden.got.qsize()) == (1, 0)


async def test_nothing_in_the_environment_leads_it_astray(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.rpartition("/")[0])
        await made().send(receiver.url, event)
        assert (receiver.got.qsize(), proxy.got.qsize()) == (1, 0)


async def test_https_is_verified(event: Event, tls: Tls) -> None:
    async with receiving(tls.server) as receiver:
        failed = await failure(made(), receiver.url, event)
        assert not failed.final  # its owner may mend that
        assert str(failed).startswith("its certificate is not trusted: ")
        other_name = receiver.url.replace(LOOPBACK, "receiver.test")
        failed = await failure(made(tls=tls.client, resolver=Names([LOOPBACK])), other_name, event)
        assert "receiver.test" in str(failed)
        assert receiver.got.empty()
        assert await made(tls=tls.client).send(receiver.url, event) == "HTTP 204"


class Endless(web.StreamResponse):
    """A body that never ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    async def prepare(self, request: web.BaseRequest) -> object:  # type: ignore[override]  # what it returns is for aiohttp
        writer = await super().prepare(request)
        try:
            while True:
                await self.write(b"x" * 65536)
        finally:
            self.ended.set()
        return writer


async def test_the_body_of_an_answer_is_not_read(event: Event) -> None:
    async with receiving() as receiver:
        endless = Endless()
        receiver.answers.append(endless)
        assert await made().send(receiver.url, event) == "HTTP 200"
        await asyncio.wait_for(endless.ended.wait(), 120)  # we have hung up


async def test_who_does_not_answer_is_not_waited_for(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    async with receiving() as receiver:
        receiver.answers.append(asyncio.Event())
        failed = await failure(made(), receiver.url, event)
    assert (str(failed), failed.final) == ("no answer within 0.2 s", False)


async def test_what_is_broken_is_told_without_a_word_about_the_network(event: Event) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))  # and does not listen
        failed = await failure(made(), f"http://{LOOPBACK}:{taken.getsockname()[1]}/", event)
        assert (str(failed), failed.final) == ("no connection", False)
    failed = await failure(made(resolver=Names([])), "http://receiver.test/", event)
    assert (str(failed), failed.final) == ("its host is not known", False)
    for url in (f"http://{'a' * 300}.test/", "http://[::1/", "http://receiver.test:99999/"):
        failed = await failure(made(), url, event)
        assert (str(failed), failed.final) == ("this is not a URL", True)


async def test_a_receiver_that_speaks_no_http_is_tried_again(event: Event) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.test ESMTP\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, LOOPBACK, 0)
    async with server:
        url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/"
        failed = await failure(made(), url, event)
    assert (str(failed), failed.final) == ("the connection broke", False)


async def test_a_name_server_that_keeps_still_holds_up_nothing_else(
    event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More look-ups that do not end than the process has threads for everything else."""
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    answers = threading.Event()

    def keep_still(*_: object) -> list[object]:
        answers.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", keep_still)
    callbacks = made()
    try:
        sent = [callbacks.send("http://receiver.test/", event) for _ in range(40)]
        failed = await asyncio.gather(*sent, return_exceptions=True)
        assert {str(each) for each in failed} == {"no answer within 0.2 s"}
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "a thread"), 120) == "a thread"
    finally:
        answers.set()


def test_secrets_are_those_of_one_user_of_one_instance() -> None:
    secrets = {callback_secret(key, owner) for key in (KEY, InstanceKey(b"x" * 32)) for owner in ("a", "b")}
    assert len(secrets) == 4
    assert {len(secret) for secret in secrets} == {64}
