"""S3's answers as values: XML documents, errors, and answers that are all head."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

from tests.faults.content import Given
from tests.faults.http_reply import Reply, no_effect

XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Refused(Exception):
    """What was asked cannot be done; nothing was changed."""

    def __init__(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.reply = error(status, code, headers)


def document(
    root: str,
    *elements: str,
    namespace: str = NAMESPACE,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    effect: Callable[[], None] = no_effect,
) -> Reply:
    """Make a reply of one XML document."""
    body = f"{XML}<{f'{root} {namespace}'.strip()}>{''.join(elements)}</{root}>".encode()
    described = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
    return Reply(
        status=status,
        headers=with_date({**described, **(headers or {})}),
        content=Given(body),
        stop=len(body),
        effect=effect,
    )


def error(status: int, code: str, headers: Mapping[str, str] | None = None, *, message: str = "") -> Reply:
    return document(
        "Error",
        element("Code", code),
        element("Message", message or f"{code} in a test"),
        element("RequestId", "STUB"),
        namespace="",
        status=status,
        headers=headers,
    )


def head_only(
    headers: Mapping[str, str] | None = None, *, status: int = 200, effect: Callable[[], None] = no_effect
) -> Reply:
    length = {} if status == 204 else {"Content-Length": "0"}  # RFC 9110, 8.6: no length in a 204
    return Reply(status=status, headers=with_date({**length, **(headers or {})}), effect=effect)


def element(name: str, value: object) -> str:
    """Write `<name>value</name>`; nothing at all for None and ""."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, datetime):
        value = f"{value:%Y-%m-%dT%H:%M:%S.000Z}"
    return f"<{name}>{escape(str(value))}</{name}>"


def with_date(headers: Mapping[str, str]) -> dict[str, str]:
    return {"Date": format_datetime(datetime.now(UTC), usegmt=True), "x-amz-request-id": "STUB", **headers}
