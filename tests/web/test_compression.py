"""Compressed downloads: whole, in order, in bounded memory, and broken off where they cannot be."""

import asyncio
import io
import json
import random
import struct
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bucketzip import cli
from bucketzip.embedded import EmbeddedS3
from bucketzip.transfer.budget import RESERVE_BYTES
from bucketzip.web import keys
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, gets
from tests.readers.readers import ArchiveReaders
from tests.web.serving import Server, serving, stub_environment
from tests.web.test_downloads import contents

MIB = 1 << 20
TEXT = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(100_000))
RANDOM = random.Random(0).randbytes(1_200_000)

OBJECTS = {
    "a.txt": TEXT[:1000],
    "empty": b"",
    "folder/": b"",
    "folder/large.txt": TEXT,
    "folder/random": RANDOM,
    "photo.jpg": RANDOM,
    "zeros": bytes(9 * MIB + 17),
} | {f"many/{number:03}.txt": TEXT[number : number + 3000] for number in range(50)}


async def test_a_compressed_archive_opens_everywhere(
    server: Server, bucket: Bucket, archive_readers: ArchiveReaders, tmp_path: Path
) -> None:
    await bucket.put_many({f"in/{key}": data for key, data in OBJECTS.items()})
    path = tmp_path / "a.zip"
    for compression, level in (("deflate", 1), ("auto", 3), ("auto", 6)):
        status, answer = await server.ask(bucket.url("in/"), compression=compression, level=level)
        assert status == 201
        assert (answer["bytes"], answer["etag"], answer["resumable"]) == (None, None, False)
        assert (answer["compression"], answer["level"]) == (compression, level)
        assert answer["source_bytes"] == sum(map(len, OBJECTS.values()))
        async with server.client.get(answer["url"]) as got:
            assert got.status == 200
            assert got.headers["Transfer-Encoding"] == "chunked"
            assert got.headers["Accept-Ranges"] == "none"
            assert not {"Content-Length", "ETag"} & set(got.headers)
            path.write_bytes(await got.read())
        archive_readers.assert_opens_everywhere(path, OBJECTS, java_stream=True)
        assert path.stat().st_size < 0.3 * answer["source_bytes"]
    assert await server.metric("bucketzip_deflate_in_bytes_total") == 3 * sum(map(len, OBJECTS.values()))
    made = await server.metric("bucketzip_deflate_out_bytes_total")
    assert 0 < made < await server.metric("bucketzip_sent_bytes_total") < 1.01 * made
    await server.idle()
    assert not await server.metric("bucketzip_deflate_threads_busy")


async def test_stored_stays_the_default(server: Server, bucket: Bucket) -> None:
    await bucket.put("a.txt", TEXT)
    _, answer = await server.ask(bucket.url("a.txt"))
    assert (answer["compression"], answer["level"], answer["resumable"]) == ("store", None, True)
    assert answer["bytes"] > answer["source_bytes"] == len(TEXT)


async def test_a_part_of_it_cannot_be_had(server: Server, bucket: Bucket) -> None:
    await bucket.put("a.txt", TEXT)
    link = await server.link(bucket.url("a.txt"), compression="deflate")
    async with server.client.get(link, headers={"Range": "bytes=100-"}) as whole:
        assert whole.status == 200
        assert contents(await whole.read()) == {"a.txt": TEXT}
    async with server.client.get(link, headers={"If-Match": '"of another archive"'}) as other:
        assert other.status == 412
    async with server.client.head(link) as head:
        assert head.status == 200
        assert not {"Content-Length", "ETag"} & set(head.headers)


async def test_a_link_stays_compressed_through_a_restart(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bucket.put("a.txt", TEXT)
    async with serving(s3_server.environment(), tmp_path, monkeypatch) as server:
        path = urlsplit(await server.link(bucket.url("a.txt"), compression="auto")).path
    async with (
        serving(s3_server.environment(), tmp_path, monkeypatch) as server,
        server.client.get(server.base + path) as got,
    ):
        archive = await got.read()
    assert len(archive) < len(TEXT) // 2
    assert contents(archive) == {"a.txt": TEXT}


async def test_sixteen_at_once_keep_to_the_budget(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In as little memory as a process may have: 16 MiB, of which the 32 shares of these have 512 KiB each."""
    await bucket.put_many({f"in/{number}.txt": TEXT[number : number + MIB] for number in range(2)})
    async with serving(s3_server.environment(), tmp_path, monkeypatch, memory_bytes=16 * MIB) as server:
        link = await server.link(bucket.url("in/"), compression="deflate")
        budget, most = server.app[keys.OWN].engine.budget, 0

        async def fetch() -> bytes:
            nonlocal most
            body = bytearray()
            async with server.client.get(link) as got:
                assert got.status == 200, await got.text()
                async for chunk in got.content.iter_any():
                    most = max(most, budget.used_bytes)
                    body += chunk
            return bytes(body)

        archives = await asyncio.gather(*(fetch() for _ in range(16)))
        assert len(set(archives)) == 1
        assert contents(archives[0]) == {f"{number}.txt": TEXT[number : number + MIB] for number in range(2)}
        # Whoever is admitted gets a reserve at once, even while the others still hold what was free until then.
        assert 0 < most <= budget.total_bytes + 32 * RESERVE_BYTES
        await server.idle()


async def test_one_too_many_is_told_to_come_back(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes two reserves: one to read into, one to compress in."""
    await bucket.put("a.txt", TEXT)
    async with serving(s3_server.environment(), tmp_path, monkeypatch, memory_bytes=16 * MIB) as server:
        link = await server.link(bucket.url("a.txt"), compression="deflate")
        budget = server.app[keys.OWN].engine.budget
        others = [budget.join(wake=lambda: None, shed=lambda: None) for _ in range(31)]
        status, refused = await server.error(link)
        assert (status, refused["error"]) == (503, "too_busy")
        others.pop().leave()
        async with server.client.get(link) as got:
            assert contents(await got.read()) == {"a.txt": TEXT}


async def test_a_client_that_leaves_leaves_nothing_behind(server: Server, bucket: Bucket) -> None:
    await bucket.put_many({f"in/{number}.bin": RANDOM for number in range(20)})
    link = await server.link(bucket.url("in/"), compression="deflate", level=9)
    async with server.client.get(link) as got:
        await got.content.readexactly(100_000)
        got.close()
    await asyncio.wait_for(server.idle(), 120)
    assert not await server.metric("bucketzip_deflate_threads_busy")
    assert await server.metric("bucketzip_downloads_total") == 1


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_change_behind_the_first_byte_breaks_the_connection(
    version: str, stub: LyingS3, stub_server: Server
) -> None:
    """In HTTP/1.0, too, where the end of a connection is the end of the answer: it is reset."""
    stub.objects.put("a", Synthetic(30 * MIB))
    stub.objects.put("z", b"x" * 100)
    url = await stub_server.link("s3://stub/", compression="deflate")
    stub.on(gets("z"), lies.refuse(412, "PreconditionFailed"))
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    body = bytearray()
    broken = False
    try:
        while chunk := await reader.read(MIB):
            body += chunk
    except ConnectionResetError:
        broken = True
    writer.close()
    assert body.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    assert broken or (version == "1.1" and not body.endswith(b"0\r\n\r\n"))
    await stub_server.idle()
    assert await stub_server.metric("bucketzip_errors_total") == 1
    status, answer = await stub_server.error(url)
    assert (status, answer["error"]) == (409, "source_changed")


async def test_an_http_1_0_client_gets_the_whole(server: Server, bucket: Bucket) -> None:
    await bucket.put("a.txt", TEXT)
    parts = urlsplit(await server.link(bucket.url("a.txt"), compression="deflate"))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    writer.close()
    assert b"Transfer-Encoding" not in head
    assert contents(body) == {"a.txt": TEXT}


async def test_a_client_that_takes_nothing_is_let_go(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.objects.put("a", Synthetic(60 * MIB))
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch, client_stall_seconds=1) as server:
        url = await server.link("s3://stub/", compression="deflate")
        async with server.client.get(url) as got:
            while not await server.metric("bucketzip_downloads_total"):
                await asyncio.sleep(0.05)
            got.close()
        async with server.client.get(f"{server.base}/metrics") as answer:
            assert 'bucketzip_downloads_total{outcome="stalled"} 1.0' in await answer.text()
        await server.idle()


async def test_what_was_downloaded_can_be_verified(
    server: Server, bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await bucket.put_many({f"in/{key}": OBJECTS[key] for key in ("a.txt", "empty", "folder/large.txt", "photo.jpg")})
    link = await server.link(bucket.url("in/"), compression="auto")
    manifest = link.rpartition("/")[0] + "/manifest.json"
    path, saved = tmp_path / "a.zip", tmp_path / "manifest.json"
    async with server.client.get(manifest) as got:
        before = json.loads(await got.text())
    assert (before["compression"], before["bytes"], before["etag"]) == ("auto", None, None)
    async with server.client.get(link) as got:
        archive = await got.read()
    async with server.client.get(manifest) as got:
        saved.write_bytes(await got.read())

    def run() -> object:
        with pytest.raises(SystemExit) as ended:
            cli.main(["verify", str(path), "--manifest", str(saved)])
        return ended.value.code

    async def verify(data: bytes) -> tuple[object, str]:
        path.write_bytes(data)
        return await asyncio.to_thread(run), capsys.readouterr().out

    status, said = await verify(archive)
    assert status == 0, said
    assert "all right: 4 entries" in said
    status, said = await verify(archive[:-30])
    assert status == 1
    assert "central directory: expected one that can be read" in said
    damaged = bytearray(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as whole:
        header_at = whole.getinfo("folder/large.txt").header_offset
    content_at = header_at + 30 + sum(struct.unpack_from("<HH", archive, header_at + 26))
    damaged[content_at] |= 0b110  # the type that no block has
    status, said = await verify(bytes(damaged))
    assert status == 1
    assert "folder/large.txt: content: expected one that unpacks" in said
    fewer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as whole, zipfile.ZipFile(fewer, "w") as copy:
        for info in whole.infolist()[1:]:
            copy.writestr(info.filename, whole.read(info))
    status, said = await verify(fewer.getvalue())
    assert status == 1
    assert "a.txt: directory record: expected one, found none" in said
