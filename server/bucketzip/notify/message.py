"""The mail that tells of an event: plain text, of our own sentences around what the archive is called.

Names and errors hold what anybody has chosen, such as the key of an object. They lose line breaks and whatever else
is not to be seen, so none becomes a header, a paragraph of ours, or text that runs backwards.
"""

import time
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from bucketzip.notify.event import Event
from bucketzip.wording import entries

SUBJECT_CHARACTERS = 80
"""Most of a name in a subject; the text has it whole."""


def compose(event: Event, sender: str, recipient: str) -> EmailMessage:
    """The mail. Both addresses were checked, the sender's by the settings and the other by `acceptance`."""
    name = _visible(event.name)
    message = EmailMessage(SMTP)
    message["From"] = sender
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = _subject(event, _in_a_header(name))
    message["Date"] = formatdate(event.at)
    # The same at every attempt: a mail that was sent twice is one to whoever reads it.
    message["Message-ID"] = f"<{event.id}@{domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office answers it
    # Encoded, so that no server on the way breaks the line of the link.
    message.set_content("\n".join(_lines(event, name)) + "\n", cte="quoted-printable")
    return message


def domain(sender: str) -> str:
    """Of an address such as `Archives <zip@example.com>`."""
    return sender.rpartition("@")[2].rstrip(">")


def _subject(event: Event, name: str) -> str:
    match event.type:
        case "archive.succeeded" | "download.ready":
            return f"{name} is ready"
        case "archive.cancelled":
            return f"{name} was cancelled"
        case _:
            return f"{name} could not be made"


def _lines(event: Event, name: str) -> list[str]:
    match event.type:
        case "archive.succeeded" | "download.ready":
            lines = ["Your archive is ready.", "", f"  Name:  {name}"]
            if event.bytes is not None and event.entries is not None:
                lines.append(f"  Size:  {event.bytes:,} bytes, {entries(event.entries)}")
            if event.url is not None:
                until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(event.url_expires_at))
                lines += [f"  Link:  {event.url}", "", f"The link works until {until}, for whoever has it."]
            return lines
        case "archive.cancelled":
            return ["Your archive was cancelled before it was made.", "", f"  Name:  {name}"]
        case _:
            error = _visible(event.error or "")
            return ["Your archive could not be made.", "", f"  Name:   {name}", f"  Error:  {error}"]


def _in_a_header(name: str) -> str:
    """Short, and without encoded words (RFC 2047): EmailMessage decodes those that it is given, line breaks and all."""
    short = name if len(name) <= SUBJECT_CHARACTERS else f"{name[:SUBJECT_CHARACTERS]}…"
    return short.replace("=?", "=\N{REPLACEMENT CHARACTER}")


def _visible(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
