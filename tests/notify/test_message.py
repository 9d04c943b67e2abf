"""What mails say, whatever names and errors hold."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from bucketzip.errors import InvalidRequest
from bucketzip.notify.acceptance import Acceptance
from bucketzip.notify.event import Event
from bucketzip.notify.message import compose
from bucketzip.plan.request import DownloadRequest
from tests.notify.conftest import made_event

SENDER, RECIPIENT = "Archives <zip@example.com>", "somebody@example.org"
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
}


def read(event: Event) -> EmailMessage:
    """The mail, as its receiver parses what goes over the wire."""
    mail = message_from_bytes(compose(event, SENDER, RECIPIENT).as_bytes(), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert not mail.defects
    return mail


def text(mail: EmailMessage) -> str:
    content: str = mail.get_content()
    assert content.count("\r\n") == content.count("\n") == content.count("\r")
    return content.replace("\r\n", "\n")


def test_it_says_what_is_ready_where_and_until_when(event: Event) -> None:
    mail = read(event)
    assert set(mail.keys()) == HEADERS
    assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, RECIPIENT, "photos.zip is ready")
    assert mail["Message-ID"] == "<0123456789abcdef@example.com>"
    assert mail["Date"].datetime.timestamp() == event.at
    assert mail["Auto-Submitted"] == "auto-generated"
    assert text(mail) == (
        "Your archive is ready.\n"
        "\n"
        "  Name:  photos.zip\n"
        "  Size:  121,684,743 bytes, 39 entries\n"
        "  Link:  https://zip.example.com/r/H3ste5PMEG53GkF9fXDhAg\n"
        "\n"
        "The link works until 2023-11-15 22:13 UTC, for whoever has it.\n"
    )


def test_it_says_why_there_is_nothing() -> None:
    error = "s3://bucket/größe.bin: S3 says AccessDenied"
    failed = read(made_event(type="archive.failed", error=error, url=None))
    assert failed["Subject"] == "photos.zip could not be made"
    assert text(failed) == (f"Your archive could not be made.\n\n  Name:   photos.zip\n  Error:  {error}\n")
    cancelled = read(made_event(type="archive.cancelled", url=None))
    assert cancelled["Subject"] == "photos.zip was cancelled"
    assert "cancelled before it was made" in text(cancelled)


@pytest.mark.parametrize(
    "bad",
    [
        "a.zip\r\nBcc: everybody@example.org",
        "a\nSubject: other",
        "a\r\n\r\nanother body",
        "a\r.zip",
        "a\x00b\x1b[2J.zip",
        "a\x85b\u2028c\u2029d.zip",
        "\u202egnp.exe.zip",
        "=?utf-8?q?x=0ABcc:_everybody=40example.org?=",
        "x" * 1000,
        "größe 写真 🗜.zip",
        "\udcff.zip",
    ],
)
def test_no_name_and_no_error_becomes_a_header_or_a_line_of_ours(bad: str) -> None:
    for event in (made_event(name=bad), made_event(type="archive.failed", name=bad, error=bad, url=None)):
        mail = read(event)
        assert set(mail.keys()) == HEADERS
        assert len(mail.get_all("Subject", [])) == 1
        plain = read(made_event(type=event.type, url=event.url, error="e"))
        assert text(mail).count("\n") == text(plain).count("\n")
        assert text(mail).replace("\n", "").isprintable()
        assert mail["Subject"].isprintable()
        assert len(mail["Subject"]) < 110


def request(**fields: object) -> DownloadRequest:
    return DownloadRequest.model_validate({"sources": ["s3://bucket/"], **fields})


@pytest.mark.parametrize(
    "address",
    [
        "a\x00@b.org",
        "a@b.org\x7f",
        "größe@example.org",
        "a@größe.org",
        "a(comment)@b.org",
        "a:b@c.org",
        "a\\@b.org",
        ".a@b.org",
        "a@b..org",
        "a@[127.0.0.1]",
        "a@-b.org",
    ],
)
def test_only_plain_addresses_are_taken(address: str) -> None:
    accepts = Acceptance((), ())
    accepts.check(request(email="first.last+tag@sub.example.org"))
    with pytest.raises(InvalidRequest, match=r"^email: "):
        accepts.check(request(email=address))


def test_mail_is_refused_where_the_server_sends_none() -> None:
    accepts = Acceptance((), ("BUCKETZIP_SMTP_HOST", "BUCKETZIP_PUBLIC_URL"))
    accepts.check(request(callback_url="https://example.org/done"))
    with pytest.raises(InvalidRequest, match="its settings BUCKETZIP_SMTP_HOST, BUCKETZIP_PUBLIC_URL are unset"):
        accepts.check(request(email="a@example.org"))


@pytest.mark.parametrize(
    "url",
    [
        "http://?",
        "https://:80/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://[::1/",
        "http://127.0.0.1:8080/x",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
    ],
)
def test_a_url_that_can_lead_nowhere_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^callback_url: "):
        Acceptance((), ()).check(request(callback_url=url))


@pytest.mark.parametrize(
    "url", ["https://example.org", "http://1.1.1.1:8080/a?b=c", "https://[2600::1]:1/", "http://x"]
)
def test_any_other_is_taken(url: str) -> None:
    Acceptance((), ()).check(request(callback_url=url))
