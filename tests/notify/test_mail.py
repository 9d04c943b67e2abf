"""Mail handed to a real SMTP server."""

import asyncio
import socket
import ssl
from typing import Any

import pytest

from bucketzip.notify import mail as module
from bucketzip.notify.event import Event
from bucketzip.notify.failure import NotDelivered
from bucketzip.notify.mail import Mail, MailServer
from tests.notify.conftest import Tls
from tests.notify.receiver import LOOPBACK, Mailbox, mail_server

RECIPIENT = "somebody@example.org"


def made(mailbox: Mailbox, trust: Tls | None = None, **options: Any) -> Mail:
    fields: dict[str, Any] = {"host": "localhost", "tls": "none", "user": "", "password": "", "sender": "zip@here.test"}
    server = MailServer(**fields | {"port": mailbox.port} | options)
    return Mail(server, trust.client if trust else ssl.create_default_context)


async def failure(mail: Mail, event: Event) -> NotDelivered:
    with pytest.raises(NotDelivered) as raised:
        await mail.send(RECIPIENT, event)
    return raised.value


async def test_a_mail_arrives_by_starttls_with_a_login(event: Event, tls: Tls) -> None:
    async with mail_server(tls.server) as mailbox:
        mail = made(mailbox, tls, tls="starttls", user="user", password="pa55")
        assert await mail.send(RECIPIENT, event) == "taken"
        received = await mailbox.next()
    assert received["Subject"] == "photos.zip is ready"
    assert event.url is not None
    assert event.url in received.get_content()
    assert (mailbox.envelopes[0].mail_from, mailbox.envelopes[0].rcpt_tos) == ("zip@here.test", [RECIPIENT])
    assert mailbox.secured == [True]
    assert mailbox.logins == [(b"user", b"pa55")]


async def test_a_mail_arrives_by_tls_from_the_start(event: Event, tls: Tls) -> None:
    async with mail_server(tls=tls.server) as mailbox:
        assert await made(mailbox, tls, tls="tls").send(RECIPIENT, event) == "taken"
        assert (await mailbox.next())["To"] == RECIPIENT
        assert "certificate" in str(await failure(made(mailbox, tls="tls"), event)).lower()


async def test_a_mail_arrives_in_the_clear_where_that_is_wanted(event: Event) -> None:
    async with mail_server() as mailbox:
        assert await made(mailbox).send(RECIPIENT, event) == "taken"
    assert mailbox.secured == [False]
    assert mailbox.logins == []


@pytest.mark.parametrize(("reply", "final"), [("451 come again", False), ("554 you are spam", True)])
async def test_4xx_is_tried_again_and_5xx_is_not(event: Event, reply: str, *, final: bool) -> None:
    async with mail_server() as mailbox:
        mailbox.replies.append(reply)
        failed = await failure(made(mailbox), event)
        assert (str(failed), failed.final) == (reply, final)
        assert await made(mailbox).send(RECIPIENT, event) == "taken"
    assert (await mailbox.next())["Message-ID"] == f"<{event.id}@here.test>"


async def test_a_recipient_that_the_server_does_not_know_is_final(event: Event) -> None:
    async with mail_server() as mailbox:

        async def handle_rcpt(*_: object) -> str:
            return "550 no such user"

        mailbox.handle_RCPT = handle_rcpt  # type: ignore[attr-defined]  # aiosmtpd looks for it by name
        failed = await failure(made(mailbox), event)
    assert (str(failed), failed.final) == ("550 no such user", True)


async def test_a_wrong_password_is_the_operators_to_mend(event: Event, tls: Tls) -> None:
    async with mail_server(tls.server) as mailbox:
        failed = await failure(made(mailbox, tls, tls="starttls", user="user", password="wrong-pa55"), event)
    assert not failed.final
    assert str(failed).startswith("the mail server answers 535 ")
    assert "wrong-pa55" not in str(failed)


async def test_no_password_goes_to_a_server_that_is_not_trusted_or_has_no_tls(event: Event, tls: Tls) -> None:
    async with mail_server(tls.server) as mailbox:
        failed = await failure(made(mailbox, tls="starttls", user="user", password="pa55"), event)
        assert not failed.final
        assert "certificate" in str(failed).lower()
        assert mailbox.logins == []
    async with mail_server(auth_require_tls=False) as mailbox:
        failed = await failure(made(mailbox, tls, tls="starttls", user="user", password="pa55"), event)
        assert not failed.final
        assert mailbox.logins == []
    assert mailbox.mails.empty()


async def test_a_server_that_is_away_or_silent_is_tried_again(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox()
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        mailbox.port = taken.getsockname()[1]
        failed = await failure(made(mailbox, host=LOOPBACK), event)
        assert not failed.final
        assert str(failed).startswith("the mail server cannot be used: ")
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
        taken.listen()
        failed = await failure(made(mailbox, host=LOOPBACK), event)
        assert (str(failed), failed.final) == ("the mail server does not answer within 0.2 s", False)


async def test_mail_that_is_taken_is_delivered_even_if_the_server_then_hangs_up(event: Event) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.test\r\n")
        for reply in (b"250 mx.test", b"250 ok", b"250 ok", b"354 go on", b"250 taken"):
            await (reader.readuntil(b"\r\n.\r\n") if reply == b"250 taken" else reader.readline())
            writer.write(reply + b"\r\n")
        writer.close()
        await writer.wait_closed()

    mailbox = Mailbox()
    async with await asyncio.start_server(speak, LOOPBACK, 0) as server:
        mailbox.port = server.sockets[0].getsockname()[1]
        assert await made(mailbox, host=LOOPBACK).send(RECIPIENT, event) == "taken"


async def test_where_the_settings_for_mail_are_gone_it_waits(event: Event) -> None:
    failed = await failure(Mail(None, ssl.create_default_context), event)
    assert not failed.final


def test_the_password_is_in_no_repr() -> None:
    server = MailServer(host="h", port=1, tls="tls", user="u", password="pa55", sender="a@b.org")
    assert "pa55" not in repr(server)
