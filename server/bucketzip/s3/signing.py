"""Signature Version 4 for one kind of request: a ranged GET. 5 us each, since the signing key is kept for the day.

Canonicalisation equals botocore's: a property test compares the two. The path is encoded once, and that string is
both sent and signed; `.`, `..` and `//` in keys stay as they are. Every header that decides the answer is signed.
"""

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

_EMPTY_SHA256 = sha256(b"").hexdigest()


class Credentials(NamedTuple):
    """Keys at one moment."""

    access_key: str
    secret_key: str
    token: str | None = None


class Route(NamedTuple):
    """Where the ranged GETs of one bucket go, and what they are signed for."""

    tls: bool
    host: str
    port: int
    host_header: str
    path_prefix: str
    """What stands in front of `/key`: the bucket for path style, and the endpoint's own path."""
    region: str
    service: str


class Range(NamedTuple):
    """What one GET asks for: bytes `[start, stop)` of the object while it has this ETag."""

    key: str
    version_id: str
    etag: str
    start: int
    stop: int


def signed_get(route: Route, wanted: Range, credentials: Credentials, stamp: str) -> bytes:
    """The whole request head. `stamp` is UTC, `YYYYMMDDTHHMMSSZ`."""
    path = f"{route.path_prefix}/{quote(wanted.key.encode(), safe='/~')}"
    query = f"versionId={quote(wanted.version_id, safe='-_.~')}" if wanted.version_id else ""
    byte_range = f"bytes={wanted.start}-{wanted.stop - 1}"
    scope = f"{stamp[:8]}/{route.region}/{route.service}/aws4_request"
    headers = (
        f"host:{route.host_header}\nif-match:{wanted.etag}\nrange:{byte_range}\n"
        f"x-amz-content-sha256:{_EMPTY_SHA256}\nx-amz-date:{stamp}\n"
    )
    names = "host;if-match;range;x-amz-content-sha256;x-amz-date"
    if credentials.token:
        headers += f"x-amz-security-token:{credentials.token}\n"
        names += ";x-amz-security-token"
    canonical = f"GET\n{path}\n{query}\n{headers}\n{names}\n{_EMPTY_SHA256}"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_key, stamp[:8], route.region, route.service)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    target = f"{path}?{query}" if query else path
    return (
        f"GET {target} HTTP/1.1\r\n{headers.replace(chr(10), chr(13) + chr(10))}"
        f"authorization:AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}\r\n\r\n"
    ).encode()


@lru_cache(maxsize=64)
def _signing_key(secret: str, *scope: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in (*scope, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
