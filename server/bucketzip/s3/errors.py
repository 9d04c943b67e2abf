"""S3 code -> our error, in one table; and botocore's exceptions, at the one place where they cross."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, cast
from xml.sax.saxutils import unescape

from aiohttp import ClientError as HttpClientError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from bucketzip.errors import (
    AccessDenied,
    BucketzipError,
    ContentMismatch,
    CredentialsExpired,
    KeysExpired,
    KeysRefused,
    NoCredentials,
    NoSuchBucket,
    NoSuchObject,
    NoSuchUpload,
    ObjectArchived,
    S3Error,
    S3Refused,
    S3Unreachable,
    SlowDown,
    SourceChanged,
)

EXPIRED_CODES = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "RequestExpired"}
)
"""The credentials' time is over: new ones may help at once."""

WRONG_REGION_CODES = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect"})
"""The bucket is elsewhere than where the request was signed for."""

_BY_CODE: dict[str, type[BucketzipError]] = {
    "NoSuchBucket": NoSuchBucket,
    "NoSuchKey": NoSuchObject,
    "NoSuchVersion": NoSuchObject,
    "NoSuchUpload": NoSuchUpload,
    "NotFound": NoSuchObject,
    "PreconditionFailed": SourceChanged,
    "InvalidRange": SourceChanged,  # it was longer when it was listed
    "MethodNotAllowed": SourceChanged,  # the version asked for is a delete marker
    "InvalidObjectState": ObjectArchived,
    "BadDigest": ContentMismatch,
    "XAmzContentSHA256Mismatch": ContentMismatch,
    "AccessDenied": AccessDenied,
    "AllAccessDisabled": AccessDenied,
    "AccountProblem": AccessDenied,
    "Forbidden": AccessDenied,
    "InvalidAccessKeyId": AccessDenied,
    "SignatureDoesNotMatch": AccessDenied,
    "SlowDown": SlowDown,
    "ServiceUnavailable": SlowDown,
    "Throttling": SlowDown,
    "ThrottlingException": SlowDown,
    "RequestLimitExceeded": SlowDown,
    "TooManyRequests": SlowDown,
    "KMS.ThrottlingException": SlowDown,
    "RequestTimeout": S3Unreachable,
    "IncompleteBody": S3Unreachable,
    "InvalidPart": S3Error,  # it was lost since it was listed, and can be sent again
} | dict.fromkeys(EXPIRED_CODES, CredentialsExpired)

_BY_STATUS: dict[int, type[BucketzipError]] = {
    400: S3Refused,
    401: AccessDenied,
    403: AccessDenied,
    404: NoSuchObject,
    405: NoSuchObject,  # to HEAD, which tells no code: the version asked for is a delete marker
    408: S3Unreachable,
    412: SourceChanged,
    416: SourceChanged,
    429: SlowDown,
    501: S3Refused,
    503: SlowDown,
}


class Whose(NamedTuple):
    """Whose credentials a request was signed with."""

    told: str
    """For people."""
    given: bool
    """They are keys that came with a request: nobody here can renew them, or is to blame for them."""


OURS = Whose("this server's own credentials", given=False)
WHOSE = "Whose"
"""Among the metadata of botocore's answers."""

_KEYS_REFUSED = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch"})

_CODE = re.compile(rb"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,1000})</Message>")
READING = "s3:GetObject on the objects and s3:ListBucket on the bucket (and kms:Decrypt for its key)"
_HINTS: dict[str, str] = {
    "InvalidAccessKeyId": "the access key is not known to this endpoint",
    "SignatureDoesNotMatch": "the secret key does not fit the access key",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it (chrony)",
}
_SERVER_ERROR = 500


def from_s3(
    status: int, code: str, message: str, where: str, *, allow: str = READING, whose: Whose = OURS
) -> BucketzipError:
    """The error for an answer of S3 to a request about `where` (a bucket or an object, as `s3://...`).

    `allow`: what the role needs for it; `whose` credentials it was signed with.
    """
    by_status = _BY_STATUS.get(status, S3Error)
    kind = _BY_CODE.get(code, by_status)
    if kind is S3Refused and not code:
        kind = S3Error  # to HEAD, which tells no code: a token has expired, perhaps
    if whose.given and kind is CredentialsExpired:
        kind = KeysExpired
    elif whose.given and code in _KEYS_REFUSED:
        kind = KeysRefused
    said = ", ".join(part for part in (code or f"status {status}", message) if part)
    hint = _HINTS.get(code, f"allow {allow}" if kind is AccessDenied else "")
    signer = "" if whose is OURS else f" to {whose.told}:"
    error = kind(f"{where}: S3 says{signer} {said}" + (f"; {hint}" if hint else ""))
    error.about = where
    return error


def parse_error(body: bytes) -> tuple[str, str]:
    """Code and message of an error document, empty where it has none."""
    code, message = _CODE.search(body), _MESSAGE.search(body)
    return tuple(unescape(found[1].decode(errors="replace")) if found else "" for found in (code, message))  # type: ignore[return-value]  # two in, two out


def from_answer(answer: Mapping[str, Any], where: str, *, allow: str = READING) -> BucketzipError:
    """The error for an answer as botocore parses it; otherwise as `from_s3`."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
    said = answer.get("Error", {})
    code = said.get("Code", "")
    whose = cast("Whose", answer.get("ResponseMetadata", {}).get(WHOSE, OURS))
    code = "" if code.isdigit() else code
    return from_s3(status, code, said.get("Message", ""), where, allow=allow, whose=whose)


@contextmanager
def crossing(where: str, *, allow: str = READING) -> Iterator[None]:
    """Turn what botocore and its HTTP client raise about `where` into our errors; `allow` as in `from_s3`."""
    try:
        yield
    except ClientError as error:
        raise from_answer(error.response, where, allow=allow) from error
    except NoCredentialsError as error:
        raise NoCredentials from error
    except PartialCredentialsError as error:
        raise NoCredentials(f"The AWS credentials of this server are not complete: {error}") from error
    except (CredentialRetrievalError, UnauthorizedSSOTokenError) as error:
        raise CredentialsExpired(f"AWS credentials could not be had: {error}") from error
    except (BotoConnectionError, HTTPClientError, HttpClientError, OSError) as error:
        raise S3Unreachable(f"{where}: {type(error).__name__}: {error}") from error
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise S3Error(f"{where}: {error}") from error


@contextmanager
def reading_answer(where: str) -> Iterator[None]:
    """Turn a field that an answer about `where` should have, and has not, into S3Error."""
    try:
        yield
    except KeyError as error:
        raise S3Error(f"{where}: S3 sent an answer without {error}") from error
