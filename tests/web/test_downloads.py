"""From a request to a file on the client's disk."""

import io
import random
import zipfile
from pathlib import Path

import pytest

from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket
from tests.readers.readers import ArchiveReaders
from tests.web.serving import Server, serving

MIB = 1 << 20


def some_objects() -> dict[str, bytes]:
    dice = random.Random(1)
    sizes = {"a.txt": 10, "empty": 0, "docs/one.pdf": 3000, "docs/zwei ü.pdf": 70_000, "docs/deep/three": 300_000}
    sizes |= {"big/ahead.bin": 5 * MIB, "big/late.bin": 9 * MIB + 17} | {f"many/{i:03}.bin": 10_240 for i in range(200)}
    return {key: dice.randbytes(size) for key, size in sizes.items()}


def contents(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


async def test_a_prefix_becomes_a_zip(
    server: Server, bucket: Bucket, archive_readers: ArchiveReaders, tmp_path: Path
) -> None:
    """Every reader finds every object with its bytes, and every length announced is the length sent."""
    objects = some_objects()
    await bucket.put_many({f"in/{key}": data for key, data in objects.items()})
    status, answer = await server.ask(bucket.url("in/"), filename="photos.zip")
    assert status == 201
    assert answer["filename"] == "photos.zip"
    assert answer["entries"] == len(objects)
    archive = await server.fetch(answer["url"])
    assert len(archive) == answer["bytes"]
    path = tmp_path / "photos.zip"
    path.write_bytes(archive)
    archive_readers.assert_opens_everywhere(path, objects, java_stream=False)
    await server.idle()


async def test_an_archive_of_small_objects_streams_into_java(
    server: Server, bucket: Bucket, archive_readers: ArchiveReaders, tmp_path: Path
) -> None:
    """No descriptors: the CRCs of small objects, and those that S3 stores of large ones, stand in front."""
    objects = {key: data for key, data in some_objects().items() if key != "big/late.bin"}
    await bucket.put_many({f"in/{key}": data for key, data in objects.items()})
    objects["stored.bin"] = random.Random(2).randbytes(9 * MIB)
    await bucket.put("in/stored.bin", objects["stored.bin"], ChecksumAlgorithm="CRC32")
    path = tmp_path / "a.zip"
    path.write_bytes(await server.zip(bucket.url("in/")))
    archive_readers.assert_opens_everywhere(path, objects, java_stream=True)


async def test_the_same_request_gives_the_same_bytes(server: Server, bucket: Bucket) -> None:
    await bucket.put_many({f"x/{i}": bytes([i]) * 100 for i in range(20)})
    first, second = [await server.ask(bucket.url("x/")) for _ in range(2)]
    assert first[1]["etag"] == second[1]["etag"]
    assert first[1]["url"] != second[1]["url"]
    assert await server.fetch(first[1]["url"]) == await server.fetch(second[1]["url"])


async def test_head_tells_all_and_reads_nothing(server: Server, bucket: Bucket) -> None:
    await bucket.put_many({"a": b"x" * 1000, "b": b"y" * 10})
    status, answer = await server.ask(bucket.url(), filename="Übersicht 2026.zip")
    assert status == 201
    async with server.client.head(answer["url"]) as head:
        assert head.status == 200
        assert head.content_length == answer["bytes"]
        assert head.headers["ETag"] == answer["etag"]
        assert head.headers["Content-Type"] == "application/zip"
        assert head.headers["Content-Disposition"] == (
            "attachment; filename=\"Ubersicht 2026.zip\"; filename*=UTF-8''%C3%9Cbersicht%202026.zip"
        )
    assert await server.metric("bucketzip_s3_range_gets_total") == 0
    async with server.client.get(answer["url"]) as whole:
        own = {"X-Request-ID", "Date"}  # each answer's
        assert [each for each in whole.headers.items() if each[0] not in own] == [
            each for each in head.headers.items() if each[0] not in own
        ]
        assert len(await whole.read()) == answer["bytes"]


async def test_links_survive_a_restart(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bucket.put("a", b"kept")
    state = tmp_path / "state"
    async with serving(s3_server.environment(), state, monkeypatch) as server:
        url = await server.link(bucket.url())
        before = await server.fetch(url)
    async with serving(s3_server.environment(), state, monkeypatch) as server:
        assert await server.fetch(server.base + url[url.index("/d/") :]) == before


async def test_names_and_folders_are_as_asked(server: Server, bucket: Bucket) -> None:
    await bucket.put_many({"p/a.txt": b"1", "p/sub/a.txt": b"2", "p/sub/b.log": b"3", "q": b"4"})
    source = {"url": bucket.url("p/"), "exclude": ["*.log"], "prefix": "left"}
    archive = await server.zip(source, {"url": bucket.url("q"), "name": "renamed"}, root="all")
    assert contents(archive) == {"all/left/a.txt": b"1", "all/left/sub/a.txt": b"2", "all/renamed": b"4"}
    flat = await server.zip(bucket.url("p/"), flatten=True)
    assert contents(flat) == {"a.txt": b"1", "a (2).txt": b"2", "b.log": b"3"}


async def test_over_tls_to_s3(tls_s3_server: EmbeddedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.bucket import new_bucket  # noqa: PLC0415  -- the TLS server's own bucket

    objects = {"small": b"s" * 1000, "large": random.Random(3).randbytes(20 * MIB)}
    async with new_bucket(tls_s3_server) as bucket:
        await bucket.put_many(objects)
        async with serving(tls_s3_server.environment(), tmp_path / "state", monkeypatch) as server:
            assert contents(await server.zip(bucket.url())) == objects


async def test_the_metrics_tell_what_happened(server: Server, bucket: Bucket) -> None:
    await bucket.put_many({f"{i}": b"x" * 1000 for i in range(10)})
    archive = await server.zip(bucket.url())
    await server.idle()
    assert await server.metric("bucketzip_s3_range_gets_total") == 10
    assert await server.metric("bucketzip_s3_received_bytes_total") == 10_000
    assert await server.metric("bucketzip_sent_bytes_total") == len(archive)
    assert await server.metric("bucketzip_downloads_total") == 1
    assert await server.metric("bucketzip_memory_used_bytes") == 0
    assert await server.metric("bucketzip_event_loop_lag_seconds_count") > 0
