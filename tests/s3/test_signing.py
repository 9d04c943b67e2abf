"""The signature is botocore's, to the byte, and so is the request target: for any key, wherever the bucket is."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.s3.client import open_s3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.signing import Credentials, Range, Route, signed_get
from tests.s3.awkward import AWKWARD, awkward_keys

KEYS = st.lists(st.sampled_from(AWKWARD) | st.characters(exclude_categories=["Cs"]), min_size=1).map("".join)
ETAG = '"d41d8cd98f00b204e9800998ecf8427e-7"'


def read_request(request: bytes) -> tuple[str, dict[str, str]]:
    """Return the target and the headers of what is one request head and not a byte more."""
    head, end, rest = request.partition(b"\r\n\r\n")
    assert end
    assert not rest
    line, *fields = head.split(b"\r\n")
    method, target, version = line.decode("ascii").split(" ")
    assert (method, version) == ("GET", "HTTP/1.1")
    assert b"\n" not in head.replace(b"\r\n", b"")
    headers = dict(field.decode("ascii").split(":", 1) for field in fields)
    assert len(headers) == len(fields)
    return target, headers


AWS_HOST = "bucket.s3.eu-central-1.amazonaws.com"
ROUTES = [
    Route(tls=True, host=AWS_HOST, port=443, host_header=AWS_HOST, path_prefix="", region="eu-central-1", service="s3"),
    Route(
        tls=False,
        host="127.0.0.1",
        port=8333,
        host_header="127.0.0.1:8333",
        path_prefix="/bucket",
        region="us-east-1",
        service="s3",
    ),
    Route(
        tls=True,
        host="::1",
        port=80,
        host_header="[::1]:80",
        path_prefix="/of/its/own/bucket.with.dots",
        region="us-gov-west-1",
        service="s3-outposts",
    ),
]
VERSIONS = ["", "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo", "null"]
TOKENS = [None, "IQoJb3JpZ2luX2VjE+/a==", "x" * 1500]


def compare(key: str, version_id: str, *, token: str | None, route: Route, start: int, stop: int) -> None:
    """Sign the same by both, and see that nothing else is asked for than was meant."""
    wanted = Range(key, version_id, ETAG, start, stop)
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    while True:
        target, headers = read_request(signed_get(route, wanted, Credentials("AKIA", "secret/+", token), stamp))
        url = f"{'https' if route.tls else 'http'}://{route.host_header}{target}"
        request = AWSRequest("GET", url, headers={"Range": headers["range"], "If-Match": headers["if-match"]})
        S3SigV4Auth(BotoCredentials("AKIA", "secret/+", token), route.service, route.region).add_auth(request)
        if request.context["timestamp"] == stamp:
            break
        stamp = request.context["timestamp"]  # botocore looks at the clock itself
    expected = {name.lower(): value for name, value in request.headers.items()}
    assert headers == {**expected, "host": route.host_header}
    path, _, query = target.partition("?")
    assert unquote(path) == f"{route.path_prefix}/{key}"
    assert unquote(query) == (f"versionId={version_id}" if version_id else "")
    assert headers["range"] == f"bytes={start}-{stop - 1}"


def test_2000_awkward_keys() -> None:
    for number, key in enumerate(awkward_keys(2000)):
        versions = [*VERSIONS, key]
        start = number << 30
        compare(
            key,
            versions[number % 4],
            token=TOKENS[number % 3],
            route=ROUTES[number % 3],
            start=start,
            stop=start + 1 + number,
        )


@settings(max_examples=200, deadline=None)
@given(key=KEYS, version_id=st.just("") | KEYS, route=st.sampled_from(ROUTES))
def test_any_key(key: str, version_id: str, route: Route) -> None:
    compare(key, version_id, token=None, route=route, start=0, stop=1)


def text(header: str | bytes) -> str:
    return header if isinstance(header, str) else header.decode()


class _Caught(Exception):
    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


@pytest.mark.parametrize(
    ("bucket", "environment"),
    [
        ("bucket", {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:8333"}),
        ("bucket", {"AWS_ENDPOINT_URL_S3": "http://[::1]:8333"}),
        ("bucket", {"AWS_ENDPOINT_URL_S3": "https://storage.example.com"}),
        ("bucket", {"AWS_ENDPOINT_URL_S3": "https://storage.example.com:8443/of/its/own"}),
        ("bucket", {"AWS_REGION": "eu-west-1"}),
        ("bucket", {"AWS_REGION": "us-east-1", "AWS_SESSION_TOKEN": "a+/token=="}),
        ("dotted.bucket", {"AWS_REGION": "eu-west-1"}),
        ("bucket", {"AWS_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true"}),
        ("bucket", {"AWS_REGION": "eu-west-1", "AWS_USE_DUALSTACK_ENDPOINT": "true"}),
        ("arn:aws:s3:eu-west-1:123456789012:accesspoint/point", {"AWS_REGION": "eu-west-1"}),
    ],
)
async def test_a_whole_client_would_send_the_same(
    monkeypatch: pytest.MonkeyPatch, bucket: str, environment: dict[str, str]
) -> None:
    def catch(request: AWSPreparedRequest, **_: object) -> None:
        raise _Caught(request)

    for name, value in {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret/+", **environment}.items():
        monkeypatch.setenv(name, value)
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=1) as s3:
        route = await s3.route(bucket)
        s3.client.meta.events.register_first("before-send.s3.GetObject", catch)
        for index, key in enumerate(awkward_keys(100)):
            wanted = Range(key, key if index % 2 else "", ETAG, index, index + 9)
            version: dict[str, Any] = {"VersionId": key} if index % 2 else {}
            with pytest.raises(_Caught) as caught:
                await s3.client.get_object(
                    Bucket=bucket, Key=key, Range=f"bytes={index}-{index + 8}", IfMatch=ETAG, **version
                )
            sent = caught.value.request
            stamp = text(sent.headers["X-Amz-Date"])
            target, headers = read_request(signed_get(route, wanted, keeper.current(), stamp))
            assert f"{'https' if route.tls else 'http'}://{route.host_header}{target}" == sent.url
            assert headers["authorization"] == text(sent.headers["Authorization"])
