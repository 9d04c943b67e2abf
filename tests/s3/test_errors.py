"""What S3, botocore and the line say becomes one of our errors, which names what it was about and what to do."""

from typing import Any

import pytest
from aiohttp import ClientPayloadError
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)

from bucketzip.errors import (
    AccessDenied,
    BucketzipError,
    CredentialsExpired,
    NoCredentials,
    NoSuchBucket,
    NoSuchObject,
    ObjectArchived,
    S3Error,
    S3Refused,
    S3Unreachable,
    SlowDown,
    SourceChanged,
)
from bucketzip.s3.errors import crossing, from_s3, parse_error


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchBucket", NoSuchBucket),
        (404, "NoSuchKey", NoSuchObject),
        (404, "NoSuchVersion", NoSuchObject),
        (404, "", NoSuchObject),
        (412, "", SourceChanged),
        (416, "InvalidRange", SourceChanged),
        (405, "MethodNotAllowed", SourceChanged),
        (403, "InvalidObjectState", ObjectArchived),
        (403, "", AccessDenied),
        (401, "", AccessDenied),
        (403, "SomethingNew", AccessDenied),
        (503, "", SlowDown),
        (503, "SlowDown", SlowDown),
        (429, "", SlowDown),
        (400, "ExpiredToken", CredentialsExpired),
        (403, "ExpiredToken", CredentialsExpired),
        (400, "", S3Error),
        (400, "InvalidPart", S3Error),
        (400, "InvalidStorageClass", S3Refused),
        (501, "NotImplemented", S3Refused),
        (400, "IncompleteBody", S3Unreachable),
        (400, "KMS.ThrottlingException", SlowDown),
        (409, "OperationAborted", S3Error),
        (500, "InternalError", S3Error),
        (999, "", S3Error),
    ],
)
def test_by_code_then_by_status(status: int, code: str, kind: type[BucketzipError]) -> None:
    error = from_s3(status, code, "As S3 puts it.", "s3://bucket/key")
    assert type(error) is kind
    assert str(error).startswith(f"s3://bucket/key: S3 says {code or f'status {status}'}, As S3 puts it.")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AccessDenied", "allow s3:GetObject on the objects and s3:ListBucket"),
        ("Forbidden", "allow s3:GetObject"),
        ("InvalidAccessKeyId", "not known to this endpoint"),
        ("SignatureDoesNotMatch", "secret key does not fit"),
        ("RequestTimeTooSkewed", "clock is wrong"),
    ],
)
def test_what_to_do(code: str, hint: str) -> None:
    assert hint in str(from_s3(403, code, "", "s3://bucket"))


def test_no_hint_where_none_helps() -> None:
    assert str(from_s3(404, "NoSuchKey", "", "s3://bucket/key")) == "s3://bucket/key: S3 says NoSuchKey"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b"<Error><Code>SlowDown</Code><Message>Reduce &lt;it&gt; &amp; wait</Message></Error>",
            ("SlowDown", "Reduce <it> & wait"),
        ),
        (b"<Error><Code>SlowDown</Code>", ("SlowDown", "")),
        (b"<Error><Message>\xff\xc3\xbc</Message>", ("", "\ufffd\u00fc")),
        (b"<Code></Code><Message></Message>", ("", "")),
        (b"<Code>" + b"x" * 1000 + b"</Code>", ("", "")),
        (b"15\r\n<Error><Code>Busy</Code>\r\n0\r\n\r\n", ("Busy", "")),
        (b"<html>busy</html>", ("", "")),
        (b"", ("", "")),
    ],
)
def test_error_documents(body: bytes, expected: tuple[str, str]) -> None:
    assert parse_error(body) == expected


def client_error(status: int, code: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (client_error(404, "NoSuchBucket"), NoSuchBucket, "s3://bucket: S3 says NoSuchBucket, said"),
        (client_error(404, "404"), NoSuchObject, "s3://bucket: S3 says status 404, said"),
        (client_error(403, "403"), AccessDenied, "allow s3:GetObject"),
        (ClientError({}, "GetObject"), S3Error, "s3://bucket: S3 says status 500"),
        (NoCredentialsError(), NoCredentials, "Attach a role"),
        (PartialCredentialsError(provider="env", cred_var="AWS_SECRET"), NoCredentials, "missing: AWS_SECRET"),
        (CredentialRetrievalError(provider="role", error_msg="gone"), CredentialsExpired, "gone"),
        (EndpointConnectionError(endpoint_url="http://s3"), S3Unreachable, "s3://bucket: EndpointConnectionError: "),
        (ConnectTimeoutError(endpoint_url="http://s3"), S3Unreachable, "s3://bucket: ConnectTimeoutError: "),
        (ClientPayloadError("short"), S3Unreachable, "s3://bucket: ClientPayloadError: short"),
        (ConnectionResetError("reset"), S3Unreachable, "s3://bucket: ConnectionResetError: reset"),
        (TimeoutError(), S3Unreachable, "s3://bucket: TimeoutError"),
        (NoRegionError(), S3Error, "s3://bucket: You must specify a region."),
        (ParamValidationError(report="bad"), S3Error, "s3://bucket: Parameter validation failed"),
        (SlowDown("ours"), SlowDown, "ours"),
    ],
)
def test_crossing(raised: Exception, kind: type[BucketzipError], said: str) -> None:
    with pytest.raises(kind) as caught, crossing("s3://bucket"):
        raise raised
    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_mistakes_of_our_own_do_not_cross() -> None:
    with pytest.raises(KeyError), crossing("s3://bucket"):
        raise KeyError
