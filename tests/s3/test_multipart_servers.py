"""Archives are put together on real servers, whatever they keep of checksums."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from botocore.retries.standard import ExponentialBackoff

from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import Source
from bucketzip.errors import ContentMismatch, DestinationExists, NoSuchObject, SourceChanged, Unsupported
from bucketzip.jobs.ports import Destination, Options
from bucketzip.s3.multipart import S3Multipart
from tests.bucket import Bucket, new_bucket
from tests.s3.uploading import LEAST, MIB, REPLACE, TOKEN, complete, of, put, put_all, some_bytes, uploading, written
from tests.servers.s3_server import S3Server

KEY = "out/\u00fc +%?&.zip"
SERVERS = ["s3_server", "tls_s3_server", "localstack", "swift"]
WITH_CHECKSUMS = SERVERS[:-1]


class On:
    """A server, a bucket of it, and uploads to it."""

    def __init__(self, bucket: Bucket, multipart: S3Multipart) -> None:
        self.bucket = bucket
        self.multipart = multipart
        self.destination = Destination(bucket.name, KEY)

    async def source(self, key: str, content: bytes) -> Source:
        await self.bucket.put(key, content)
        head = await self.bucket.client.head_object(Bucket=self.bucket.name, Key=key)
        return of(self.bucket.name, key, head["ETag"])

    async def content(self) -> bytes:
        answer = await self.bucket.client.get_object(Bucket=self.bucket.name, Key=KEY)
        return bytes(await answer["Body"].read())


@pytest.fixture(params=SERVERS)
async def on(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[On]:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)
    server = cast(S3Server, request.getfixturevalue(request.param))
    environment = server.environment()
    async with new_bucket(server) as bucket, uploading(environment, tmp_path) as multipart:
        yield On(bucket, multipart)


async def test_parts_are_sent_in_any_order_and_twice(on: On) -> None:
    bodies = [some_bytes(LEAST + 1), some_bytes(LEAST, 1), some_bytes(1000, 2)]
    began = time.time()
    upload = await on.multipart.create(on.destination, REPLACE, TOKEN)
    assert await on.multipart.find(on.destination, began) == [upload.upload_id]
    assert await on.multipart.find(on.destination, began + 60) == []
    last = await put(on.multipart, upload, 3, bodies[2])
    await put(on.multipart, upload, 1, some_bytes(LEAST + 1, 3))
    parts = [*await put_all(on.multipart, upload, bodies[:2]), last]
    listed = await on.multipart.listed(upload)
    assert all((done.etag, done.size) in listed[number] for number, done in parts)

    content = b"".join(bodies)
    finished = await complete(on.multipart, upload, parts, content)
    assert finished == await on.multipart.look(on.destination)
    assert (finished.size, finished.crc) == (len(content), crc32(content) if upload.checksums else None)
    assert await on.content() == content
    assert await on.multipart.find(on.destination, 0) == []
    assert await complete(on.multipart, upload, parts, content) == finished, "asked again, some say yes and some no"


@pytest.mark.parametrize("on", WITH_CHECKSUMS, indirect=True)
async def test_s3_copies_parts(on: On) -> None:
    small, large = some_bytes(1000), some_bytes(6 * MIB, 1)
    sources = [await on.source("small", small), await on.source("\u00fc +%?& large", large)]
    assert await on.multipart.may_copy(sources[1], len(large), on.destination) == (True, "")
    upload = await on.multipart.create(on.destination, REPLACE, TOKEN)
    assert upload.checksums
    pieces = [(sources[1], (7, 7 + LEAST), False), (sources[1], (0, len(large)), True), (sources[0], (0, 1000), True)]
    parts = []
    for number, (source, part, whole) in enumerate(pieces, 1):
        parts.append((number, await on.multipart.copy(upload, number, source, part, whole=whole)))
    expected = [large[7 : 7 + LEAST], large, small]
    assert [(done.size, done.crc) for _, done in parts] == [(len(body), crc32(body)) for body in expected]
    await complete(on.multipart, upload, parts, b"".join(expected))
    assert await on.content() == b"".join(expected)


@pytest.mark.parametrize("on", ["swift"], indirect=True)
async def test_nothing_is_copied_without_a_crc(on: On) -> None:
    content = some_bytes(6 * MIB)
    source = await on.source("source", content)
    proof = await on.multipart.may_copy(source, len(content), on.destination)
    assert proof == (False, "S3 tells no CRC-32 of a copied part")
    upload = await on.multipart.create(on.destination, REPLACE, TOKEN)
    assert not upload.checksums
    with pytest.raises(Unsupported, match="source"):
        await on.multipart.copy(upload, 1, source, (0, len(content)), whole=True)


async def test_a_source_that_changed_is_named(on: On) -> None:
    source = await on.source("source", b"old")
    await on.bucket.put("source", b"new")
    upload = await on.multipart.create(on.destination, REPLACE, TOKEN)
    with pytest.raises(SourceChanged, match=f"{on.bucket.name}/source"):
        await on.multipart.copy(upload, 1, source, (0, 3), whole=True)
    await on.bucket.delete("source")
    with pytest.raises(NoSuchObject, match=f"{on.bucket.name}/source"):
        await on.multipart.copy(upload, 1, source, (0, 3), whole=True)


@pytest.mark.parametrize("on", WITH_CHECKSUMS, indirect=True)
async def test_a_part_that_arrives_otherwise_is_refused(on: On) -> None:
    upload = await on.multipart.create(on.destination, REPLACE, TOKEN)
    with pytest.raises(ContentMismatch):
        await on.multipart.put(upload, 1, memoryview(b"body"), crc32(b"another"))


@pytest.mark.parametrize("on", WITH_CHECKSUMS, indirect=True)
async def test_so_is_an_archive_and_nothing_is_lost_of_it(on: On) -> None:
    body = some_bytes(1000)
    upload = await on.multipart.create(on.destination, REPLACE, TOKEN)
    parts = await put_all(on.multipart, upload, [body])
    with pytest.raises(ContentMismatch):
        await on.multipart.complete(upload, parts, crc=1, size=1000, options=REPLACE, token=TOKEN)
    assert await on.multipart.look(on.destination) is None
    await complete(on.multipart, upload, parts, body)
    assert await on.content() == body


async def test_only_replace_replaces(on: On) -> None:
    await written(on.multipart, on.destination, b"old")
    for options in (Options(if_exists="fail"), Options(if_exists="rename")):
        upload = await on.multipart.create(on.destination, options, "another token")
        parts = await put_all(on.multipart, upload, [b"new"])
        with pytest.raises(DestinationExists, match=f"{on.bucket.name}/out/"):
            await complete(on.multipart, upload, parts, b"new", options, token="another token")
    assert await on.content() == b"old"
    await written(on.multipart, on.destination, b"new", REPLACE)
    assert await on.content() == b"new"


@pytest.mark.parametrize("on", ["s3_server", "localstack"], indirect=True)
async def test_options_come_back(on: On) -> None:
    options = Options(
        storage_class="STANDARD_IA",
        content_type="application/x-zip",
        tags=(("cost centre", "a+b=c: \u00fc/@"), ("project", "1")),
        metadata=(("made-for", "somebody"),),
    )
    await written(on.multipart, on.destination, b"content", options)
    head = await on.bucket.client.head_object(Bucket=on.bucket.name, Key=KEY)
    assert head["ContentType"] == "application/x-zip"
    assert head["Metadata"] == {"made-for": "somebody", "bucketzip-job": TOKEN}
    assert head["StorageClass"] == "STANDARD_IA"
    tags = (await on.bucket.client.get_object_tagging(Bucket=on.bucket.name, Key=KEY))["TagSet"]
    assert sorted((tag["Key"], tag["Value"]) for tag in tags) == sorted(options.tags)


async def test_an_upload_is_aborted_and_may_be_gone_already(on: On) -> None:
    upload = await on.multipart.create(on.destination, REPLACE, TOKEN)
    await put(on.multipart, upload, 1, b"content")
    for _ in range(2):
        await on.multipart.abort(upload)
    assert await on.multipart.find(on.destination, 0) == []
    assert await on.multipart.look(on.destination) is None
