"""Mail, by the one SMTP server that the settings name."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from bucketzip.notify.event import Event
from bucketzip.notify.failure import NotDelivered
from bucketzip.notify.message import compose, domain

TIMEOUT_SECONDS = 60.0
"""For a whole mail: servers may look at it before they take it."""
REPLY_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where mail is handed in, and who it is from."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    user: str
    """Empty for a server that asks nobody who he is."""
    password: str = field(repr=False)
    sender: str
    """`zip@example.com`, or with a name: `Archives <zip@example.com>`."""


class Mail:
    """Sends mails; `tls` makes what says whom to trust."""

    def __init__(self, server: MailServer | None, tls: Callable[[], ssl.SSLContext]) -> None:
        self._server = server
        self._tls = tls

    async def send(self, target: str, event: Event) -> str:
        """Hand a mail in and return the outcome; raises NotDelivered."""
        server = self._server
        if server is None:
            raise NotDelivered("this server is not set up for mail any more")
        message = compose(event, server.sender, target)
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password if server.user else None,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            tls_context=await asyncio.to_thread(self._tls) if server.tls != "none" else None,
            local_hostname=domain(server.sender),
            timeout=TIMEOUT_SECONDS,
        )
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await client.connect()
                _, reply = await client.send_message(message)
        except SMTPRecipientsRefused as error:
            raise _refused(error.recipients[0]) from error
        except (SMTPSenderRefused, SMTPDataError) as error:
            raise _refused(error) from error
        except SMTPResponseException as error:  # to our greeting or our password: its owner may mend that
            raise NotDelivered(f"the mail server answers {_reply(error)}") from error
        except TimeoutError as error:
            raise NotDelivered(f"the mail server does not answer within {TIMEOUT_SECONDS:g} s") from error
        except (SMTPException, OSError) as error:
            raise NotDelivered(f"the mail server cannot be used: {_short(str(error))}") from error
        finally:
            await _leave(client)
        return _short(reply) or "accepted"


async def _leave(client: SMTP) -> None:
    """Whatever comes of that, the mail is delivered by now, or it is not."""
    with suppress(SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(1):
            await client.quit()
    client.close()


def _refused(error: SMTPResponseException) -> NotDelivered:
    return NotDelivered(_reply(error), final=error.code >= 500)  # noqa: PLR2004  -- permanent, by RFC 5321


def _reply(error: SMTPResponseException) -> str:
    return f"{error.code} {_short(error.message)}"


def _short(text: str) -> str:
    visible = "".join(each if each.isprintable() else " " for each in text)
    return visible[:REPLY_CHARACTERS]
