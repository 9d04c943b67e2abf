"""S3Zipper's calls with the client's own keys, and with an S3 that it names."""

import json
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket
from tests.faults.lying_s3 import LyingS3
from tests.identities import Identity, new_identity
from tests.web.serving import Server, serving, stub_environment
from tests.web.zipping import call, ended, names_in, started

METADATA = ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"]
STARTS = ("/v1/zipstart", "/v2/s3zip", "/v1/streamzip")


@pytest.fixture
async def user(s3_server: EmbeddedS3, bucket: Bucket) -> AsyncIterator[Identity]:
    """Who may use the test's bucket."""
    await bucket.put_many({"docs/a.txt": b"a" * 3000, "docs/deep/b c.txt": b"b" * 6120})
    async with new_identity(s3_server, bucket.name) as identity:
        yield identity


@pytest.fixture
async def server(s3_server: EmbeddedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """One without credentials of its own."""
    environment = {name: value for name, value in s3_server.environment().items() if "KEY" not in name}
    async with serving(environment, tmp_path / "state", monkeypatch) as running:
        yield running


def keys_of(user: Identity) -> dict[str, str]:
    return {"awsKey": user.keys.access_key, "awsSecret": user.keys.secret_key, "awsToken": ""}


async def test_the_keys_of_the_client_do_all_of_it(server: Server, bucket: Bucket, user: Identity) -> None:
    """List, tell the size, read the document of the file mapper, write, and sign the link."""
    flat = [{"key": f"{bucket.name}/{folder}", "name": ""} for folder in ("docs/", "docs/deep/")]
    await bucket.put("map.json", json.dumps({"paths": flat}).encode())
    fields = {"awsBucket": bucket.name, "filePaths": ["docs"], "fileMapper": "map.json", **keys_of(user)}
    for path, more in (("/v1/zipstart", {"zipTo": "out.zip"}), ("/v1/streamzip", {})):
        chain = await started(server, path, **fields, **more)
        assert chain["size"] == "9.1 kB"
        state = await ended(server, chain)
        assert state["State"] == "SUCCESS", state["Error"]
        assert names_in(await server.fetch(state["Results"][0]["Value"])) == ["a.txt", "b c.txt"]
    chain = await started(server, "/v1/streamzip", awsBucket=bucket.name, filePaths=["docs"])
    assert (await ended(server, chain))["Error"].startswith("no_credentials: "), "the server has none"


async def test_what_the_keys_may_not_do_is_said_of_them(server: Server, s3_server: EmbeddedS3, user: Identity) -> None:
    fields = {"awsBucket": s3_server.bucket, "filePaths": ["a"], **keys_of(user)}
    chain = await started(server, "/v1/streamzip", **fields)
    assert chain["size"] == "unknown"
    error = (await ended(server, chain))["Error"]
    assert error.startswith("access_denied: ")
    assert "the keys that came with the request" in error
    for wrong, code in (({}, "access_denied"), ({"awsSecret": "ofAnother"}, "keys_refused")):
        status, told = await call(server, "/v1/zipstart", {**fields, "fileMapper": "map.json", **wrong})
        assert (status, told["error"]) == (403, code)
        assert "the keys that came with the request" in told["detail"]


def at(endpoint: str) -> dict[str, Any]:
    return {"filePaths": ["stub/in"], "awsKey": "AKIA", "awsSecret": "s", "awsEndpoint": endpoint}


@pytest.fixture
async def theirs(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LyingS3]:
    """The S3 that a client names."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)
    async with LyingS3() as running:
        running.objects.put("in/a", b"theirs")
        yield running


async def test_an_endpoint_is_used_where_the_settings_name_it(
    stub: LyingS3, theirs: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch) as server:
        for path in STARTS:
            status, told = await call(server, path, at(theirs.endpoint_url))
            assert (status, told["error"]) == (400, "invalid_request")
            assert told["detail"].startswith("awsEndpoint: ")
            assert "BUCKETZIP_ALLOW_ENDPOINTS" in told["detail"]
    assert theirs.requests == []
    allowed = "127.0.0.1"
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch, allow_endpoints=allowed) as server:
        chain = await started(server, "/v1/streamzip", **at(theirs.endpoint_url))
        assert chain["size"] == "6 B"
        assert names_in(await server.fetch((await ended(server, chain))["Results"][0]["Value"])) == ["in/a"]
    assert theirs.requests
    assert stub.requests == []


async def test_no_endpoint_is_at_this_machine_or_its_metadata(
    stub: LyingS3, theirs: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written out, in whatever disguise, or as a name that leads there by the time of the connection."""
    leads_to = {
        "v4.test": (socket.AF_INET, ("169.254.169.254", 80)),
        "mapped.test": (socket.AF_INET6, ("::ffff:169.254.169.254", 80, 0, 0)),
        "v6.test": (socket.AF_INET6, ("fd00:ec2::254", 80, 0, 0)),
        "here.test": (socket.AF_INET, ("127.0.0.1", theirs.port)),
    }
    names_of_system = socket.getaddrinfo

    def names(host: str, *arguments: Any, **more: Any) -> Any:
        if host not in leads_to:
            return names_of_system(host, *arguments, **more)
        family, address = leads_to[host]
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]

    connect, connected = BaseSelectorEventLoop.sock_connect, set()

    async def noted(loop: BaseSelectorEventLoop, sock: socket.socket, address: tuple[Any, ...]) -> None:
        connected.add(address[:2])
        await connect(loop, sock, address)

    monkeypatch.setattr(socket, "getaddrinfo", names)
    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", noted)
    settings: dict[str, Any] = {"allow_endpoints": "*", "s3_tries": 1}
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch, **settings) as server:
        for host in METADATA:
            for path in STARTS:
                status, told = await call(server, path, at(f"http://{host}"))
                assert (status, told["error"]) == (400, "invalid_request"), host
                assert told["detail"].startswith("awsEndpoint: ")
        for host in (*leads_to, "0xa9fea9fe", "2852039166"):  # the last two are read as 169.254.169.254
            endpoint = f"http://{host}:{theirs.port}"
            status, told = await call(server, "/v1/zipstart", {**at(endpoint), "fileMapper": "stub/m.json"})
            assert (status, told["error"]) == (504, "s3_unreachable"), host
            chain = await started(server, "/v1/streamzip", **at(endpoint))
            assert (await ended(server, chain))["Error"].startswith("s3_unreachable: "), host
        assert connected == {("127.0.0.1", int(server.base.rpartition(":")[2]))}, "by this client alone"
