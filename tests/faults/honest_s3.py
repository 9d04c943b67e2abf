"""What S3 answers to a read: objects, versions, ranges, conditions, listings by page. Only reads, no signatures.

Written after the S3 API reference; a lie in `lies.py` changes what comes from here.
"""

import base64
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote_plus, unquote
from xml.sax.saxutils import escape

from tests.faults.content import Content, Given
from tests.faults.http_reply import Reply

PAGE_KEYS = 1000
LAST_CHARACTER = "\U0010ffff"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
WRITTEN_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(slots=True)
class Asked:
    """One request: what the client asked for, and how the answer went."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    finished: bool = False  # the whole answer was handed to the kernel
    client_left: bool = False  # it went before that
    bucket: str = field(init=False)
    key: str = field(init=False)
    query: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        path, _, query = self.target.partition("?")
        bucket, _, key = path.removeprefix("/").partition("/")
        self.bucket, self.key = unquote(bucket), unquote(key)
        self.query = dict(parse_qsl(query, keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    content: Content
    etag: str  # with its quotes
    version_id: str | None = None
    last_modified: datetime = WRITTEN_AT
    headers: Mapping[str, str] = field(default_factory=dict)


class Objects:
    """One bucket. A second put of a key leaves the first one readable by its version."""

    def __init__(self) -> None:
        self._current: dict[str, StoredObject] = {}
        self._versions: dict[tuple[str, str | None], StoredObject] = {}
        self._sorted: list[str] | None = None

    def put(
        self,
        key: str,
        content: bytes | Content,
        *,
        etag: str | None = None,
        version_id: str | None = None,
        last_modified: datetime = WRITTEN_AT,
        headers: Mapping[str, str] | None = None,
    ) -> StoredObject:
        if isinstance(content, bytes):
            content = Given(content)
        stored = StoredObject(
            content=content,
            etag=etag or etag_of(content),
            version_id=version_id,
            last_modified=last_modified,
            headers=headers or {},
        )
        if key not in self._current:
            self._sorted = None
        self._current[key] = self._versions[key, version_id] = stored
        return stored

    def delete(self, key: str) -> None:
        del self._current[key]
        self._sorted = None

    def find(self, key: str, version_id: str | None) -> StoredObject | None:
        return self._current.get(key) if version_id is None else self._versions.get((key, version_id))

    def page(
        self, prefix: str, delimiter: str, after: str, limit: int
    ) -> tuple[list[tuple[str, StoredObject]], list[str], str]:
        """Return keys and common prefixes behind `after`, and where the next page goes on ("" at the end)."""
        if self._sorted is None:
            self._sorted = sorted(self._current)  # by code point, which is the order of the UTF-8 bytes too
        keys = self._sorted
        objects: list[tuple[str, StoredObject]] = []
        folders: list[str] = []
        position = max(bisect_left(keys, prefix), bisect_right(keys, after))
        last = after
        while position < len(keys) and keys[position].startswith(prefix):
            if len(objects) + len(folders) == limit:
                return objects, folders, last
            key = keys[position]
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if found:
                folders.append(prefix + head + delimiter)
                last = prefix + head + delimiter + LAST_CHARACTER
                position = bisect_right(keys, last)
            else:
                objects.append((key, self._current[key]))
                last = key
                position += 1
        return objects, folders, ""


def etag_of(content: Content) -> str:
    seen = content.data if isinstance(content, Given) else repr(content).encode()
    return f'"{hashlib.md5(seen, usedforsecurity=False).hexdigest()}"'


def answer(bucket: str, objects: Objects, asked: Asked) -> Reply:
    if asked.bucket != bucket:
        return error(404, "NoSuchBucket")
    if asked.method not in {"GET", "HEAD"}:
        return error(501, "NotImplemented")
    if asked.key:
        return _object(objects, asked)
    if asked.method == "HEAD":
        return Reply(headers=_headers({"x-amz-bucket-region": "us-east-1", "Content-Length": "0"}))
    if asked.query.get("list-type") == "2":
        return _listing(bucket, objects, asked.query)
    return error(501, "NotImplemented")


def document(text: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Make a reply of an XML document."""
    body = (XML + text).encode()
    described = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
    return Reply(status=status, headers=_headers({**described, **(headers or {})}), content=Given(body), stop=len(body))


def error(status: int, code: str, headers: Mapping[str, str] | None = None) -> Reply:
    text = f"<Error><Code>{code}</Code><Message>{code} in a test</Message><RequestId>STUB</RequestId></Error>"
    return document(text, status=status, headers=headers)


def _headers(more: Mapping[str, str]) -> dict[str, str]:
    return {"Date": format_datetime(datetime.now(UTC), usegmt=True), "x-amz-request-id": "STUB", **more}


def _object(objects: Objects, asked: Asked) -> Reply:
    version_id = asked.query.get("versionId")
    found = objects.find(asked.key, version_id)
    if found is None:
        return error(404, "NoSuchVersion" if version_id else "NoSuchKey")
    wanted, known = asked.headers.get("If-Match"), asked.headers.get("If-None-Match")
    if wanted and wanted != "*" and wanted.strip('"') != found.etag.strip('"'):
        return error(412, "PreconditionFailed")
    headers = {
        "ETag": found.etag,
        "Last-Modified": format_datetime(found.last_modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        **({"x-amz-version-id": found.version_id} if found.version_id else {}),
        **found.headers,
    }
    if known and known.strip('"') == found.etag.strip('"'):
        return Reply(status=304, headers=_headers(headers))
    size = found.content.size
    status, start, stop = 200, 0, size
    if asked_range := parse_range(asked.headers.get("Range", ""), size):
        status, (start, stop) = 206, asked_range
        if start >= stop:
            return error(416, "InvalidRange", {"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    return Reply(status=status, headers=_headers(headers), content=found.content, start=start, stop=stop)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return `[start, stop)`, empty if it cannot be satisfied; None if S3 would ignore the header."""
    unit, _, spec = header.partition("=")
    first, dash, last = spec.partition("-")
    if unit != "bytes" or not dash or not (first + last).isdecimal():
        return None
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def _listing(bucket: str, objects: Objects, query: Mapping[str, str]) -> Reply:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = min(PAGE_KEYS, int(query.get("max-keys", PAGE_KEYS)))
    token = query.get("continuation-token", "")
    after = base64.urlsafe_b64decode(token).decode() if token else query.get("start-after", "")
    found, folders, goes_on = objects.page(prefix, delimiter, after, limit)

    def name(text: str) -> str:
        return escape(quote_plus(text, safe="/") if query.get("encoding-type") == "url" else text)

    lines = [f"<ListBucketResult {NAMESPACE}><Name>{bucket}</Name><Prefix>{name(prefix)}</Prefix>"]
    lines.append(f"<KeyCount>{len(found) + len(folders)}</KeyCount><MaxKeys>{limit}</MaxKeys>")
    lines.extend(_optional("Delimiter", name(delimiter)))
    lines.extend(_optional("StartAfter", name(query.get("start-after", ""))))
    lines.extend(_optional("EncodingType", query.get("encoding-type", "")))
    lines.extend(_optional("ContinuationToken", token))
    lines.extend(_optional("NextContinuationToken", base64.urlsafe_b64encode(goes_on.encode()).decode()))
    lines.append(f"<IsTruncated>{'true' if goes_on else 'false'}</IsTruncated>")
    for key, stored in found:
        lines.append(
            f"<Contents><Key>{name(key)}</Key><LastModified>{stored.last_modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{escape(stored.etag)}</ETag><Size>{stored.content.size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )
    lines.extend(f"<CommonPrefixes><Prefix>{name(folder)}</Prefix></CommonPrefixes>" for folder in folders)
    return document("".join([*lines, "</ListBucketResult>"]))


def _optional(tag: str, value: str) -> Iterable[str]:
    return [f"<{tag}>{value}</{tag}>"] if value else []
