"""The stand-in is S3 to somebody else's client until it lies, and each lie is the bytes it says."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from bench.certificates import make_certificate
from tests.faults import lies
from tests.faults.client import client_of
from tests.faults.content import Synthetic, synthetic_bytes
from tests.faults.lying_s3 import Lie, LyingS3, anything, gets, heads, lists

GIB = 1 << 30
DATA = bytes(range(256))


@asynccontextmanager
async def raw_get(stub: LyingS3) -> AsyncIterator[tuple[bytes, asyncio.StreamReader]]:
    """Ask for ten bytes; give the head of the answer, and what follows it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stub.port, limit=1 << 20)
    writer.write(f"GET /{stub.bucket}/data HTTP/1.1\r\nHost: stub\r\nRange: bytes=10-19\r\n\r\n".encode())
    try:
        yield await reader.readuntil(b"\r\n\r\n"), reader
    finally:
        writer.close()


async def test_listing_by_page_in_byte_order() -> None:
    keys = [
        "a/1",
        "a b",
        "a+b",
        "a",
        "b/\u00fc",
        "b/\uffee",
        "b/\U0001f600",
        "c\x01<&>",
        *(f"d/{n:03}" for n in range(20)),
    ]
    async with LyingS3(dict.fromkeys(keys, b"x")) as stub, client_of(stub) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=stub.bucket, PaginationConfig={"PageSize": 3})
        listed = [entry["Key"] async for page in pages for entry in page.get("Contents", [])]
        assert listed == sorted(keys, key=str.encode)
        assert len(stub.requests) == -(-len(keys) // 3)

        page = await client.list_objects_v2(Bucket=stub.bucket, Prefix="d/", StartAfter="d/004", MaxKeys=2)
        assert [entry["Key"] for entry in page["Contents"]] == ["d/005", "d/006"]
        assert page["IsTruncated"]
        assert not (await client.list_objects_v2(Bucket=stub.bucket, Prefix="nothing"))["KeyCount"]


async def test_listing_folders() -> None:
    keys = ["a/1", "a/2", "b", "c/1", "c/d/1", "e"]
    async with LyingS3(dict.fromkeys(keys, b"x")) as stub, client_of(stub) as client:
        found = []
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=stub.bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
        )
        async for page in pages:
            found += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            found += [entry["Key"] for entry in page.get("Contents", [])]
        assert found == ["a/", "b", "c/", "e"]


async def test_objects_versions_and_conditions() -> None:
    async with LyingS3() as stub, client_of(stub) as client:
        old = stub.objects.put("k", b"old", version_id="1")
        new = stub.objects.put("k", b"newer", version_id="2", headers={"x-amz-meta-a": "b"})
        head = await client.head_object(Bucket=stub.bucket, Key="k")
        assert (head["ContentLength"], head["ETag"], head["VersionId"], head["Metadata"]) == (
            5,
            new.etag,
            "2",
            {"a": "b"},
        )
        got = await client.get_object(Bucket=stub.bucket, Key="k", VersionId="1", IfMatch=old.etag)
        assert await got["Body"].read() == b"old"
        await client.head_bucket(Bucket=stub.bucket)
        with pytest.raises(ClientError, match="PreconditionFailed"):
            await client.get_object(Bucket=stub.bucket, Key="k", IfMatch=old.etag)
        with pytest.raises(ClientError, match="NoSuchVersion"):
            await client.get_object(Bucket=stub.bucket, Key="k", VersionId="3")
        with pytest.raises(ClientError, match="NoSuchKey"):
            await client.get_object(Bucket=stub.bucket, Key="other")
        with pytest.raises(ClientError, match="NoSuchBucket"):
            await client.list_objects_v2(Bucket="another")
        with pytest.raises(ClientError, match="404"):
            await client.head_object(Bucket=stub.bucket, Key="other")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", DATA[:1]),
        ("bytes=250-", DATA[250:]),
        ("bytes=250-999", DATA[250:]),
        ("bytes=-3", DATA[-3:]),
        ("bytes=-999", DATA),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
    ],
)
async def test_ranges(asked: str, expected: bytes | None) -> None:
    async with LyingS3({"data": DATA}) as stub, client_of(stub) as client:
        got = await client.get_object(Bucket=stub.bucket, Key="data", Range=asked)
        status = got["ResponseMetadata"]["HTTPStatusCode"]
        body = await got["Body"].read()
        assert (status, body) == ((200, DATA) if expected is None else (206, expected))
        if expected is not None:
            start = DATA.index(expected)
            assert got["ContentRange"] == f"bytes {start}-{start + len(expected) - 1}/256"


@pytest.mark.parametrize("asked", ["bytes=256-", "bytes=999-1000", "bytes=-0"])
async def test_ranges_that_cannot_be(asked: str) -> None:
    async with LyingS3({"data": DATA}) as stub, client_of(stub) as client:
        with pytest.raises(ClientError, match="InvalidRange"):
            await client.get_object(Bucket=stub.bucket, Key="data", Range=asked)


async def test_objects_too_large_to_exist() -> None:
    async with LyingS3({"large": Synthetic(50 * GIB)}) as stub, client_of(stub) as client:
        got = await client.get_object(Bucket=stub.bucket, Key="large", Range=f"bytes={45 * GIB}-{45 * GIB + 999_999}")
        assert await got["Body"].read() == synthetic_bytes(0, 45 * GIB, 45 * GIB + 1_000_000)
        assert (await client.list_objects_v2(Bucket=stub.bucket))["Contents"][0]["Size"] == 50 * GIB


async def test_requests_are_kept() -> None:
    async with LyingS3({"a b/\u00fc": DATA}) as stub, client_of(stub) as client:
        await client.get_object(Bucket=stub.bucket, Key="a b/\u00fc", Range="bytes=1-2")
        (asked,) = stub.requests
        assert (asked.method, asked.key, asked.headers["Range"]) == ("GET", "a b/\u00fc", "bytes=1-2")
        assert (asked.finished, asked.client_left) == (True, False)


async def test_a_client_that_leaves_is_noticed() -> None:
    async with LyingS3({"large": Synthetic(GIB)}) as stub:
        _, writer = await asyncio.open_connection("127.0.0.1", stub.port)
        writer.write(f"GET /{stub.bucket}/large HTTP/1.1\r\nHost: stub\r\n\r\n".encode())
        async with asyncio.timeout(120):
            while not stub.under_way:
                await asyncio.sleep(0.001)
            writer.close()
            while stub.under_way:
                await asyncio.sleep(0.001)
        (asked,) = stub.requests
        assert (asked.finished, asked.client_left) == (False, True)


async def test_a_fault_can_be_the_kth_request_only() -> None:
    async with LyingS3({str(number): b"" for number in range(10)}) as stub, client_of(stub) as client:
        stub.on(lists(), lies.internal_error(), skip=6, times=1)
        stub.on(heads("3"), lies.slow_down())
        for page in range(10):
            if page == 6:
                with pytest.raises(ClientError, match="InternalError"):
                    await client.list_objects_v2(Bucket=stub.bucket)
            await client.list_objects_v2(Bucket=stub.bucket)
        await client.head_object(Bucket=stub.bucket, Key="2")
        with pytest.raises(ClientError, match="503"):
            await client.head_object(Bucket=stub.bucket, Key="3")
        stub.stop_lying()
        await client.head_object(Bucket=stub.bucket, Key="3")


LIES: dict[str, tuple[Lie, bytes, bytes]] = {  # what its head holds, and all the bytes behind it
    "header": (lies.header("x-amz-a", "b"), b"x-amz-a: b\r\n", DATA[10:20]),
    "other_etag": (lies.other_etag('"new"'), b'ETag: "new"\r\n', DATA[10:20]),
    "wrong_content_range": (lies.wrong_content_range(), b"Content-Range: bytes 1-2/3\r\n", DATA[10:20]),
    "status": (lies.status(200), b"HTTP/1.1 200 OK\r\n", DATA[10:20]),
    "whole_object": (lies.whole_object(), b"Content-Length: 256\r\n", DATA),
    "cut_short": (lies.cut_short(4), b"Content-Length: 10\r\n", DATA[10:14]),
    "stalled": (lies.stalled(4), b"Content-Length: 10\r\n", DATA[10:14]),
    "short_range": (lies.short_range(), b"Content-Length: 9\r\n", DATA[10:19]),
    "byte_too_many": (lies.byte_too_many(), b"Content-Length: 10\r\n", DATA[10:20] + b"!"),
    "other_bytes": (lies.other_bytes(12), b"Content-Length: 10\r\n", DATA[10:12] + b"\xf3" + DATA[13:20]),
    "chunked": (lies.chunked(), b"Transfer-Encoding: chunked\r\n", b"a\r\n" + DATA[10:20] + b"\r\n0\r\n\r\n"),
    "empty_reason": (lies.empty_reason(), b"HTTP/1.1 206 \r\n", DATA[10:20]),
    "closes": (lies.closes(), b"Connection: close\r\n", DATA[10:20]),
    "garbage_head": (lies.garbage_head(b"garbage\r\n\r\n"), b"garbage\r\n", b""),
    "huge_header": (lies.huge_header(), b"x" * 100_000, DATA[10:20]),
    "slow_first_byte": (lies.slow_first_byte(0.05), b"HTTP/1.1 206 Partial Content\r\n", DATA[10:20]),
}
CLOSING = {"cut_short", "closes", "garbage_head"}


@pytest.mark.parametrize("name", LIES)
async def test_lies(name: str) -> None:
    lie, in_head, rest = LIES[name]
    async with LyingS3({"data": DATA}) as stub:
        stub.on(gets("data"), lie)
        async with raw_get(stub) as (head, reader):
            assert in_head in head
            assert await reader.readexactly(len(rest)) == rest
            if name in CLOSING:
                assert await reader.read() == b""
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)


async def test_lies_add_up() -> None:
    async with LyingS3({"data": DATA}) as stub:
        stub.on(anything, lies.empty_reason())
        stub.on(anything, lies.continues_first(2))
        async with raw_get(stub) as (head, reader):
            assert head == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert await reader.readuntil(b"\r\n\r\n") == head
            assert await reader.readline() == b"HTTP/1.1 206 \r\n"


async def test_tls(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    async with (
        LyingS3({"data": DATA}, ssl_context=context) as stub,
        client_of(stub, ca_file=certificate.authority) as client,
    ):
        got = await client.get_object(Bucket=stub.bucket, Key="data")
        assert await got["Body"].read() == DATA
