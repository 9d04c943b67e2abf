"""Where a bucket's ranged GETs go. None of it is asked of anybody: this machine has no network to AWS."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bucketzip.errors import BucketzipError, NoCredentials, S3Refused, Unsupported
from bucketzip.s3.client import open_s3, tls_context
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.listing import S3Catalog
from bucketzip.s3.signing import Route
from bucketzip.s3.versions import Versions
from tests.faults.honest_s3 import Asked, error
from tests.faults.http_reply import Reply
from tests.faults.lying_s3 import LyingS3, anything, gets
from tests.s3.reading import fails_with, of_stub, reading, stubbed

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret"}


async def route_of(bucket: str, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Route:
    for name, value in {**KEYS, **environment}.items():
        monkeypatch.setenv(name, value)
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=1) as s3:
        assert s3.known_route(bucket) is None
        route = await s3.route(bucket)
        assert s3.known_route(bucket) is route is await s3.route(bucket)
        return route


@pytest.mark.parametrize(
    ("endpoint", "tls", "host", "port", "host_header", "prefix"),
    [
        ("http://127.0.0.1:8333", False, "127.0.0.1", 8333, "127.0.0.1:8333", "/bucket"),
        ("http://127.0.0.1:80", False, "127.0.0.1", 80, "127.0.0.1", "/bucket"),
        ("https://127.0.0.1:80", True, "127.0.0.1", 80, "127.0.0.1:80", "/bucket"),
        ("https://127.0.0.1", True, "127.0.0.1", 443, "127.0.0.1", "/bucket"),
        ("http://[::1]:8333", False, "::1", 8333, "[::1]:8333", "/bucket"),
        ("https://127.0.0.1/of/its/own/", True, "127.0.0.1", 443, "127.0.0.1", "/of/its/own/bucket"),
        ("https://s3.example.com", True, "s3.example.com", 443, "s3.example.com", "/bucket"),
    ],
)
async def test_custom_endpoints(
    monkeypatch: pytest.MonkeyPatch, *, endpoint: str, tls: bool, host: str, port: int, host_header: str, prefix: str
) -> None:
    route = await route_of("bucket", monkeypatch, AWS_ENDPOINT_URL_S3=endpoint, AWS_REGION="eu-south-9")
    assert route == Route(tls, host, port, host_header, prefix, "eu-south-9", "s3")


async def test_style_and_region_by_the_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-south-9\ns3 =\n  addressing_style = virtual\n")
    route = await route_of(
        "bucket",
        monkeypatch,
        AWS_ENDPOINT_URL_S3="https://s3.example.com",
        AWS_CONFIG_FILE=str(tmp_path / "config"),
    )
    assert (route.host, route.path_prefix, route.region) == ("bucket.s3.example.com", "", "eu-south-9")


@pytest.mark.parametrize(
    ("bucket", "environment", "host", "prefix", "region"),
    [
        ("bucket", {"AWS_REGION": "us-east-1"}, "bucket.s3.amazonaws.com", "", "us-east-1"),
        ("bucket", {"AWS_REGION": "eu-west-1"}, "bucket.s3.eu-west-1.amazonaws.com", "", "eu-west-1"),
        ("bucket", {}, "bucket.s3.amazonaws.com", "", "us-east-1"),
        ("bucket", {"AWS_REGION": "cn-north-1"}, "bucket.s3.cn-north-1.amazonaws.com.cn", "", "cn-north-1"),
        ("bucket", {"AWS_REGION": "us-gov-west-1"}, "bucket.s3.us-gov-west-1.amazonaws.com", "", "us-gov-west-1"),
        ("dotted.bucket", {"AWS_REGION": "eu-west-1"}, "s3.eu-west-1.amazonaws.com", "/dotted.bucket", "eu-west-1"),
        (
            "bucket",
            {"AWS_REGION": "us-east-2", "AWS_USE_FIPS_ENDPOINT": "true"},
            "bucket.s3-fips.us-east-2.amazonaws.com",
            "",
            "us-east-2",
        ),
        (
            "bucket",
            {"AWS_REGION": "eu-west-1", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "bucket.s3.dualstack.eu-west-1.amazonaws.com",
            "",
            "eu-west-1",
        ),
        (
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/point",
            {"AWS_REGION": "eu-west-1"},
            "point-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
            "",
            "eu-west-1",
        ),
    ],
)
async def test_aws(
    monkeypatch: pytest.MonkeyPatch,
    *,
    bucket: str,
    environment: dict[str, str],
    host: str,
    prefix: str,
    region: str,
) -> None:
    route = await route_of(bucket, monkeypatch, **environment)
    assert route.tls
    assert route[1:] == (host, 443, host, prefix, region, "s3")


@pytest.mark.parametrize(
    ("environment", "custom"),
    [
        ({"AWS_REGION": "eu-west-1"}, False),
        ({"AWS_REGION": "cn-northwest-1"}, False),
        ({"AWS_REGION": "us-gov-east-1"}, False),
        ({"AWS_REGION": "eusc-de-east-1"}, False),
        ({"AWS_ENDPOINT_URL_S3": "https://bucket.vpce-1a2b3c4d.s3.us-east-1.vpce.amazonaws.com:443"}, False),
        ({"AWS_ENDPOINT_URL_S3": "https://s3.example.com"}, True),
        ({"AWS_ENDPOINT_URL_S3": "https://amazonaws.com.example.com"}, True),
        ({"AWS_ENDPOINT_URL_S3": "https://notamazonaws.com"}, True),
    ],
)
async def test_it_knows_aws_in_all_its_partitions(
    monkeypatch: pytest.MonkeyPatch, *, environment: dict[str, str], custom: bool
) -> None:
    for name, value in {**KEYS, "AWS_REGION": "us-east-1", **environment}.items():
        monkeypatch.setenv(name, value)
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=1) as s3:
        assert s3.custom_endpoint is custom


@pytest.mark.parametrize(
    ("bucket", "kind"),
    [
        ("bucket--euw1-az1--x-s3", "directory buckets"),
        ("point--euw1-az1--xa-s3", "directory buckets"),
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "multi-region access points"),
    ],
)
async def test_other_kinds_of_buckets_are_refused(monkeypatch: pytest.MonkeyPatch, bucket: str, kind: str) -> None:
    """By their name, before anybody is asked: for ranged GETs, listings and looks alike."""
    for name, value in {**KEYS, "AWS_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=1) as s3:
        catalog = S3Catalog(s3, keeper, Versions(s3, wanted=False))
        for attempt in (s3.route(bucket), anext(catalog.pages(bucket, "")), catalog.look(bucket, "key")):
            message = await fails_with(Unsupported, attempt)
            assert bucket in message
            assert kind in message


async def test_a_bucket_name_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BucketzipError, match="s3://not a bucket"):
        await route_of("not a bucket", monkeypatch, AWS_REGION="eu-west-1")


async def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=1) as s3:
        message = await fails_with(NoCredentials, s3.route("bucket"))
        assert "Attach a role to the instance" in message
        assert "AWS_ACCESS_KEY_ID" in message


PROXY = "http://user:password@proxy.example.com:3128"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
async def test_proxies_are_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with pytest.raises(Unsupported) as caught:
        await route_of("bucket", monkeypatch, AWS_REGION="eu-west-1", **{variable: PROXY})
    message = str(caught.value)
    assert "proxy.example.com" in message
    assert "password" not in message
    assert "add bucket.s3.eu-west-1.amazonaws.com to NO_PROXY" in message


@pytest.mark.parametrize("exempt", [".amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com", "localhost,.amazonaws.com"])
async def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    route = await route_of("bucket", monkeypatch, AWS_REGION="eu-west-1", HTTPS_PROXY=PROXY, NO_PROXY=exempt)
    assert route.host == "bucket.s3.eu-west-1.amazonaws.com"


async def test_a_proxy_for_the_other_scheme_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    await route_of("bucket", monkeypatch, AWS_REGION="eu-west-1", HTTP_PROXY=PROXY)


async def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BucketzipError, match=r"profile \(nobody\) could not be found"):
        await route_of("bucket", monkeypatch, AWS_PROFILE="nobody")


async def test_an_endpoint_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BucketzipError, match=r"AWS configuration: .*nonsense"):
        await route_of("bucket", monkeypatch, AWS_ENDPOINT_URL_S3="nonsense")


def test_a_bundle_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(BucketzipError, match=r"AWS_CA_BUNDLE: .*none\.pem: No such file"):
        tls_context()


# A bucket in another region


def elsewhere(stub: LyingS3, region: str, *, status: int, code: str) -> None:
    """The store refuses what is signed for another region, as S3 does."""

    def refuse(asked: Asked, honest: Reply) -> Reply:
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3/", asked.headers["Authorization"])
        assert scope is not None
        if scope[1] == region:
            return replace(honest, headers={**honest.headers, "x-amz-bucket-region": region})
        return error(status, code, {"x-amz-bucket-region": region})

    stub.on(anything, refuse)


@pytest.mark.parametrize(
    ("status", "code"),
    [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed"), (307, "TemporaryRedirect")],
)
async def test_a_bucket_elsewhere_is_found(status: int, code: str) -> None:
    """Once for all who wait, and for good."""
    async with LyingS3({"key": b"data" * 1000}) as stub, reading(of_stub(stub), connections=8) as reader:
        thing = stubbed(stub, "key")
        await reader.start(thing).right()
        elsewhere(stub, "ap-south-1", status=status, code=code)
        stub.requests.clear()
        for read in [reader.start(thing, at) for at in range(20)]:
            await read.right()
        assert (await reader.s3.route("stub")).region == "ap-south-1"
        heads = [asked for asked in stub.requests if asked.method == "HEAD"]
        assert 1 <= len(heads) <= 2  # refused, and redirected by botocore
        assert 1 <= reader.retries("region") <= 20
        stub.requests.clear()
        await reader.start(thing).right()
        assert len(stub.requests) == 1


async def test_a_bucket_that_is_never_found() -> None:
    async with LyingS3({"key": b"data"}) as stub, reading(of_stub(stub), tries=2) as reader:
        stub.on(gets(), lambda asked, honest: error(400, "AuthorizationHeaderMalformed"))
        message = await fails_with(S3Refused, reader.start(stubbed(stub, "key")).right())
        assert message.startswith("s3://stub/key: S3 says AuthorizationHeaderMalformed")
        assert len([asked for asked in stub.requests if asked.method == "GET"]) == 3
