"""Who gets callbacks and mails: a real HTTP server and a real SMTP server, in the loop of the test."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, NamedTuple

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

LOOPBACK = "127.0.0.1"


class Got(NamedTuple):
    """A callback that came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Takes what comes; answers as `answers` says, then with 204."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.got: asyncio.Queue[Got] = asyncio.Queue()
        self.answers: deque[web.StreamResponse | asyncio.Event] = deque()
        """An event is waited for before 204 is answered."""
        self.most_at_once = 0
        self._at_once = 0

    async def next(self) -> Got:
        """What comes next, if need be waited for."""
        return await asyncio.wait_for(self.got.get(), 120)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.got.put_nowait(Got(request.path, request.headers, await request.read()))
            answer = self.answers.popleft() if self.answers else web.Response(status=204)
            if not isinstance(answer, asyncio.Event):
                return answer
            await answer.wait()
            return web.Response(status=204)
        finally:
            self._at_once -= 1


@asynccontextmanager
async def receiving(
    tls: ssl.SSLContext | None = None, *, host: str = LOOPBACK, port: int = 0
) -> AsyncIterator[Receiver]:
    app = web.Application()
    receiver = Receiver("")
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        receiver.url = f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}/done?key=hidden"
        yield receiver
    finally:
        await runner.cleanup()


class Mailbox:
    """What a mail server was handed; `replies` are given instead of 250, one to each mail."""

    def __init__(self) -> None:
        self.mails: asyncio.Queue[EmailMessage] = asyncio.Queue()
        self.raw: list[bytes] = []
        self.envelopes: list[Envelope] = []
        self.secured: list[bool] = []
        self.replies: deque[str] = deque()
        self.logins: list[tuple[bytes, bytes]] = []
        self.port = 0

    async def next(self) -> EmailMessage:
        """The mail that comes next, if need be waited for."""
        return await asyncio.wait_for(self.mails.get(), 120)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  -- aiosmtpd's name
        if self.replies:
            return self.replies.popleft()
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        self.envelopes.append(envelope)
        self.secured.append(session.ssl is not None)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.put_nowait(mail)
        return "250 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data == LoginPassword(b"user", b"pa55"), handled=False)


@asynccontextmanager
async def mail_server(
    starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[Mailbox]:
    """With `starttls` it wants that and a login, as `user` with the password `pa55`; with `tls` it begins by that."""
    mailbox = Mailbox()
    if starttls is not None:
        options |= {"tls_context": starttls, "require_starttls": True, "auth_required": True}

    def session() -> SMTP:
        return SMTP(mailbox, hostname="mx.test", authenticator=mailbox.authenticate, loop=loop, **options)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, LOOPBACK, 0, ssl=tls)
    try:
        mailbox.port = server.sockets[0].getsockname()[1]
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()
