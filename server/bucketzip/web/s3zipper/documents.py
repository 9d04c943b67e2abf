"""A request's body in any of the encodings that S3Zipper's clients use, as one document.

JSON is known by how it begins, since some clients call it a form. In forms `name`, `name[]` and `name[0]` are all
`name`, and each name has the list of its values. Everything here is linear in the body, and that is bounded.
"""

import json
import re
from email.message import Message
from typing import TypeAlias
from urllib.parse import parse_qsl

from bucketzip.errors import InvalidRequest
from bucketzip.plan.request import MAX_SOURCES

Document: TypeAlias = dict[str, object]

MAX_FIELDS = MAX_SOURCES + 100
"""Of a form: as many `filePaths` as a request may have, and all the rest."""

_BLANK = b" \t\r\n\xef\xbb\xbf"  # and the mark that some editors put in front of UTF-8
_HEADER = re.compile(
    rb'^content-disposition:[^\r\n]*?;[ \t]*name=(?:"([^"\r\n]*)"|([^;\s"]+))', re.IGNORECASE | re.MULTILINE
)
_INDEX = re.compile(r"\[[^\[\]]*\]")


def parse(body: bytes, content_type: str) -> Document:
    """The document; raises InvalidRequest."""
    header = Message()
    header["Content-Type"] = content_type or "application/x-www-form-urlencoded"
    if header.get_content_maintype() == "multipart":
        boundary = header.get_boundary()
        if not boundary:
            raise InvalidRequest("the body is multipart without a boundary in its Content-Type")
        return _folded(_multipart(body, b"--" + boundary.encode(errors="replace")))
    start = body.lstrip(_BLANK)
    if start[:1] in (b"{", b"[") or header.get_content_type() == "application/json":
        return _json(start)
    return _folded(_urlencoded(body))


def _json(body: bytes) -> Document:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON that can be read: {type(error).__name__}, {error}"[:300]) from error
    if not isinstance(document, dict):
        raise InvalidRequest("the body is JSON, but not an object")
    return document


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    if body.count(b"&") >= MAX_FIELDS:
        raise _too_many()
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise InvalidRequest("the body is a form that is not UTF-8") from error


def _multipart(body: bytes, delimiter: bytes) -> list[tuple[str, str]]:
    """The parts with a name (RFC 7578); what stands in front of the first delimiter and behind the last is nothing."""
    pieces = (b"\r\n" + body).split(b"\r\n" + delimiter)
    if len(pieces) > MAX_FIELDS:
        raise _too_many()
    pairs = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        head, _, content = piece.partition(b"\r\n\r\n")
        found = _HEADER.search(head)
        if found is None:
            raise InvalidRequest("a part of the multipart body has no name in its Content-Disposition")
        try:
            pairs.append(((found[1] or found[2] or b"").decode(), content.decode()))
        except UnicodeDecodeError as error:
            raise InvalidRequest("a part of the multipart body is not UTF-8") from error
    return pairs


def _folded(pairs: list[tuple[str, str]]) -> Document:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(_INDEX.sub("", name), []).append(value)
    return dict(lists)


def _too_many() -> InvalidRequest:
    return InvalidRequest(f"the form has more than {MAX_FIELDS:,} fields; name folders instead of their objects")
