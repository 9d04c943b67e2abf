"""botocore's client for everything that is not a ranged GET, and what it knows about where a bucket's requests go."""

import contextlib
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aiobotocore.config import AioConfig
from aiobotocore.parsers import AioResponseParserFactory
from aiobotocore.session import AioSession
from aiobotocore.utils import AioIMDSRegionProvider
from botocore.awsrequest import AWSPreparedRequest
from botocore.utils import parse_timestamp

from bucketzip import __version__
from bucketzip.errors import BucketzipError, S3Error, Unsupported
from bucketzip.jobs.spending import counted_here
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.errors import WHOSE, Whose, crossing
from bucketzip.s3.sending import prepare
from bucketzip.s3.signing import Route
from bucketzip.s3.straight import StraightSession
from bucketzip.transfer.ports import Counter, LabelledCounter

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3 import S3Client

DEFAULT_REGION = "us-east-1"
_SCOPE = re.compile(rb"Credential=[^/]+/\d+/([^/]+)/([^/]+)/")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_FAILURES = {
    403: "access_denied",
    404: "not_found",
    409: "precondition",
    412: "precondition",
    429: "slow_down",
    503: "slow_down",
}
READ_TIMEOUT_SECONDS = 30.0


class _Captured(Exception):
    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


_capturing: ContextVar[bool] = ContextVar("capturing", default=False)


class Failures(Protocol):
    """A counter by operation and reason."""

    def labels(self, operation: str, reason: str, /) -> Counter: ...


class S3:
    """One client, and the routes of buckets it has learned."""

    def __init__(self, client: "S3Client", keeper: CredentialKeeper, *, custom_endpoint: bool) -> None:
        self.client = client
        self.keeper = keeper
        """Of the keys that it signs with."""
        self.custom_endpoint = custom_endpoint
        """Whether this is not AWS, as far as the settings say."""
        self._routes: dict[str, Route] = {}
        # Called once for every request of the client, and does nothing unless the call came from `route`.
        client.meta.events.register_first("before-send.s3.GetObject", _capture)

    def known_route(self, bucket: str) -> Route | None:
        """The route of a bucket, where it was asked for before."""
        return self._routes.get(bucket)

    async def route(self, bucket: str) -> Route:
        """Where a bucket's ranged GETs go: what botocore would send, caught before it is sent.

        The client knows a bucket's region once it had an answer about it, so a listing or head comes first.
        """
        if known := self._routes.get(bucket):
            return known
        refuse_unsupported(bucket)
        token = _capturing.set(True)
        try:
            with crossing(f"s3://{bucket}"):
                await self.client.get_object(Bucket=bucket, Key="x")
        except _Captured as captured:
            route = self._routes[bucket] = _read_route(captured.request)
            return route
        finally:
            _capturing.reset(token)
        raise AssertionError("the request was sent instead of captured")

    async def route_again(self, bucket: str) -> Route:
        """The route after S3 said that the bucket is elsewhere: forget it, and let botocore find the region."""
        self._routes.pop(bucket, None)
        with crossing(f"s3://{bucket}"):
            await self.client.head_bucket(Bucket=bucket)
        return await self.route(bucket)


class Where(NamedTuple):
    """Where a client's requests go. `region` is that of whatever is not told by its bucket."""

    region: str
    endpoint: str | None = None
    """If not where the AWS variables say."""
    permits: Callable[[str], bool] | None = None
    """Whether an address may be connected to."""

    @property
    def connector_args(self) -> dict[str, Any] | None:
        """For aiohttp: each address that is connected to goes through here, looked up or written in a URL."""
        if self.permits is None:
            return None
        permits = self.permits

        def socket_factory(found: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, address = found
            if not permits(address[0]):
                raise OSError(f"{address[0]}: the settings of this server do not allow that address")
            return socket.socket(family, kind, protocol)

        return {"socket_factory": socket_factory}


@asynccontextmanager
async def open_s3(
    keeper: CredentialKeeper,
    *,
    max_connections: int,
    requests: LabelledCounter | None = None,
    failures: Failures | None = None,
    where: Where | None = None,
) -> AsyncIterator[S3]:
    """A client for the standard AWS variables and files, signing with the keeper's keys.

    `requests` counts what it sends, tries included, by operation; so does the job that it is sent for. `failures`
    counts what did not succeed.
    """
    where = where or Where(await default_region(keeper))
    with crossing("AWS configuration"):  # a profile that is not there
        session = await keeper.read_session("s3")
    factory = AioResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=_parse_time)
    session.register_component("response_parser_factory", factory)
    config = AioConfig(
        max_pool_connections=max_connections,
        connect_timeout=10,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "max_attempts": 6},
        signature_version="s3v4",
        # Not every S3-compatible server knows the newer defaults; what we need to have verified we verify ourselves.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra=f"bucketzip/{__version__}",
        http_session_cls=StraightSession,
        connector_args=where.connector_args,
        proxies={} if where.endpoint else None,  # who connects there is us, so that we see the address
    )
    async with AsyncExitStack() as stack:
        with crossing("AWS configuration"):  # an endpoint that is no URL
            client = await stack.enter_async_context(
                session.create_client("s3", region_name=where.region, config=config, endpoint_url=where.endpoint)
            )
        prepare(client)
        client.meta.events.register("after-call.s3", partial(_tell_whose, keeper.whose))

        def count(event_name: str, **_: object) -> None:
            operation = event_name.rpartition(".")[2]
            if requests is not None:
                requests.labels(operation).inc()
            if (spending := counted_here()) is not None:
                spending.count(operation)

        client.meta.events.register("before-send.s3", count)
        if failures is not None:
            client.meta.events.register("response-received.s3", partial(_count_failure, failures))
        of_aws = (urlsplit(client.meta.endpoint_url).hostname or "").endswith(_suffixes_of_aws(session))
        yield S3(client, keeper, custom_endpoint=not of_aws)


def refuse_unsupported(bucket: str) -> None:
    """What wants another signature than SigV4 with the keeper's keys, before botocore tries all the same."""
    if bucket.endswith(("--x-s3", "--xa-s3")):
        raise Unsupported(f"s3://{bucket}: directory buckets (S3 Express One Zone) are not supported")
    if bucket.startswith("arn:") and bucket.endswith(".mrap"):
        raise Unsupported(f"s3://{bucket}: multi-region access points are not supported")


def tls_context() -> ssl.SSLContext:
    """Full verification, against AWS_CA_BUNDLE where it is set."""
    bundle = os.environ.get("AWS_CA_BUNDLE")
    try:
        return _trusting(bundle)
    except OSError as error:
        raise S3Error(f"AWS_CA_BUNDLE: {bundle}: {error.strerror or error}") from error


@cache
def _trusting(bundle: str | None) -> ssl.SSLContext:
    """Read once a process, which takes 50 ms (measured)."""
    return ssl.create_default_context(cafile=bundle)


def _tell_whose(whose: Whose, parsed: dict[str, Any], **_: object) -> None:
    """For whoever makes an error of the answer."""
    parsed.setdefault("ResponseMetadata", {})[WHOSE] = whose


def _suffixes_of_aws(session: AioSession) -> tuple[str, ...]:
    """Domains of AWS, in China and elsewhere too, as botocore knows them; it has read them to make a client."""
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    return tuple(f".{each['outputs']['dnsSuffix']}" for each in partitions)


def _count_failure(
    failures: Failures, event_name: str, exception: Exception | None, response_dict: dict[str, Any] | None, **_: object
) -> None:
    """Of one try; captured requests are none."""
    if isinstance(exception, _Captured):
        return
    status = None if response_dict is None else response_dict["status_code"]
    if reason := _failure(status):
        failures.labels(event_name.rpartition(".")[2], reason).inc()


def _failure(status: int | None) -> str | None:
    """Why a request did not succeed, by the status of its answer."""
    if status is None:
        return "connection"
    if status < _CLIENT_ERROR:
        return None
    return _FAILURES.get(status, "refused" if status < _SERVER_ERROR else "server_error")


async def default_region(keeper: CredentialKeeper) -> str:
    """By AWS_REGION, the profile, the instance; S3 tells the right one of each bucket later."""
    with crossing("AWS configuration"):
        session = keeper.session()
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not region and os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
        with contextlib.suppress(BucketzipError), crossing("instance metadata"):
            region = await AioIMDSRegionProvider(session).provide()
    return region or DEFAULT_REGION


def _capture(request: AWSPreparedRequest, **_: object) -> None:
    if _capturing.get():
        raise _Captured(request)


def _read_route(request: AWSPreparedRequest) -> Route:
    url = urlsplit(request.url)
    assert url.hostname is not None
    authorization = request.headers["Authorization"]
    found = _SCOPE.search(authorization if isinstance(authorization, bytes) else authorization.encode())
    if found is None:
        raise Unsupported(f"{url.hostname}: this kind of bucket needs another signature than SigV4")
    if (proxy := getproxies().get(url.scheme)) and not proxy_bypass(url.hostname):
        raise Unsupported(
            f"ranged GETs go straight to S3, not through the proxy {urlsplit(proxy).hostname}: "
            f"add {url.hostname} to NO_PROXY, or use an S3 gateway endpoint"
        )
    default_port = _DEFAULT_PORTS[url.scheme]
    port = url.port or default_port
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return Route(
        tls=url.scheme == "https",
        host=url.hostname,
        port=port,
        host_header=name if port == default_port else f"{name}:{port}",
        path_prefix=url.path[: -len("/x")],
        region=found[1].decode(),
        service=found[2].decode(),
    )


def _parse_time(value: str) -> datetime:
    """ISO 8601 by the standard library: botocore's own parser takes longer than the wire for a page of 1,000 keys."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)
