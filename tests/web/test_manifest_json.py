"""manifest.json: what an archive holds, for whoever holds its link."""

import asyncio
import io
import json
import random
import socket
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import FORMAT_VERSION
from bucketzip.web.handlers import manifest as handler
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, lists
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20


def beside(url: str) -> str:
    return f"{url.rpartition('/')[0]}/manifest.json"


async def text(server: Server, url: str) -> bytes:
    async with server.client.get(beside(url)) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def listing(server: Server, url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await text(server, url))
    return found


async def test_it_tells_what_a_reader_finds_in_the_archive(server: Server, bucket: Bucket) -> None:
    dice = random.Random(1)
    objects = {"a.txt": b"one", "leer": b"", "docs/zwei ü 日本.pdf": dice.randbytes(70_000)}
    objects["late.bin"] = dice.randbytes(9 * MIB)
    await bucket.put_many({**{f"in/{key}": data for key, data in objects.items()}, "in/folder/": b""})
    _, answer = await server.ask(
        bucket.url("in/"), bucket.url("gone"), filename="Übersicht.zip", root="all", on_missing="skip"
    )
    archive = await server.fetch(answer["url"])
    told = await listing(server, answer["url"])
    assert told["format"] == FORMAT_VERSION
    assert told["filename"] == "Übersicht.zip"
    assert told["bytes"] == answer["bytes"] == len(archive)
    assert told["etag"] == answer["etag"]
    assert told["entry_count"] == answer["entries"] == len(told["entries"])
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert told["directory_offset"] == opened.start_dir
        assert [
            (each["name"], each["bytes"], each["crc32"], each["offset"], each["descriptor"]) for each in told["entries"]
        ] == [
            (info.filename, info.file_size, f"{info.CRC:08x}", info.header_offset, bool(info.flag_bits & 8))
            for info in opened.infolist()
        ]
    inline = {"all/folder/", "all/MISSING.txt"}
    for each in told["entries"]:
        assert set(each) == {"name", "bytes", "crc32", "modified", "offset", "descriptor", "source"}
        seen = time.strptime(each["modified"], "%Y-%m-%dT%H:%M:%SZ")
        assert seen.tm_year >= 2025
        if each["name"] in inline:
            assert each["source"] is None
            inline.remove(each["name"])
            continue
        source = each["source"]
        assert source["bucket"] == bucket.name
        assert source["key"] == f"in/{each['name'].removeprefix('all/')}"
        assert source["etag"].startswith('"')
        assert source["version_id"] is None
    assert not inline


async def test_the_version_is_told(stub: LyingS3, stub_server: Server) -> None:
    stub.objects.put("a", b"1", version_id="v1")
    told = await listing(stub_server, await stub_server.link({"url": "s3://stub/a", "version_id": "v1"}))
    assert told["entries"][0]["source"]["version_id"] == "v1"


async def test_one_entry_a_line(stub: LyingS3, stub_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the chunks, and whatever breaks lines elsewhere."""
    names = ["a", "b\u2028c", "d\u0085", 'quote".txt', "é"]
    for name in names:
        stub.objects.put(name, b"1")
    url = await stub_server.link("s3://stub/")
    texts = []
    for entries in (1, 2, 5, 500):
        monkeypatch.setattr(handler, "CHUNK_ENTRIES", entries)
        texts.append(await text(stub_server, url))
    assert len(set(texts)) == 1
    head, *lines, tail, nothing = texts[0].split(b"\n")
    assert head.endswith(b'"entries":[')
    assert (tail, nothing) == (b"]}", b"")
    assert [line.endswith(b",") for line in lines] == [True] * (len(names) - 1) + [False]
    assert [json.loads(line.rstrip(b","))["source"]["key"] for line in lines] == sorted(names)


async def test_the_answer_head(server: Server, bucket: Bucket) -> None:
    await bucket.put("a", b"1")
    url = beside(await server.link(bucket.url()))
    async with server.client.get(url) as answer:
        whole = {key: value for key, value in answer.headers.items() if key not in {"Date", "X-Request-ID"}}
        await answer.read()
    assert whole["Content-Type"] == "application/json"
    assert whole["Cache-Control"] == "private, no-cache"
    assert "ETag" not in whole
    for _ in range(2):  # on one connection: nothing of a body comes behind the head
        async with server.client.head(url) as answer:
            assert answer.status == 200
            head = {key: value for key, value in answer.headers.items() if key not in {"Date", "X-Request-ID"}}
            assert head == {key: value for key, value in whole.items() if key in head}
            assert {"Content-Type", "Cache-Control"} <= set(head)
    async with server.client.get(url, headers={"Range": "bytes=0-9"}) as answer:
        assert answer.status == 200
        json.loads(await answer.read())


async def test_crcs_are_null_until_somebody_read_the_content(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a whole download learned is told at once, after a restart, and of another archive with the same objects."""
    for number, size in enumerate([10, 9 * MIB, 70_000]):
        stub.objects.put(f"{number}", Synthetic(size, number))
    stub.objects.put("empty", b"")
    crcs = [f"{crc32(Synthetic(size, number).read(0, size)):08x}" for number, size in enumerate([10, 9 * MIB, 70_000])]
    environment = stub_environment(stub.endpoint_url)

    def told(listed: dict[str, Any]) -> list[str | None]:
        return [each["crc32"] for each in listed["entries"]]

    async with serving(environment, tmp_path, monkeypatch, scratch="off") as server:
        url = await server.link("s3://stub/")
        assert told(await listing(server, url)) == [None, None, None, "00000000"]
        await server.fetch(url)
        assert told(await listing(server, url)) == [*crcs, "00000000"]
    stub.requests.clear()
    async with serving(environment, tmp_path, monkeypatch, scratch="off") as server:
        assert told(await listing(server, server.base + url[url.index("/d/") :])) == [*crcs, "00000000"]
        other = await server.link({"url": "s3://stub/", "include": ["1"]})
        assert told(await listing(server, other)) == [crcs[1]]
    assert not [asked for asked in stub.requests if asked.method == "GET" and asked.key]


async def test_links_that_do_not_work_say_why(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.objects.put("a", b"1" * 1000)
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch) as server:
        status, error = await server.error(f"{server.base}/d/AAAAAAAAAAAAAAAAAAAAAA/manifest.json")
        assert (status, error["error"]) == (404, "no_such_link")

        changed = await server.link("s3://stub/")
        stub.objects.put("a", b"2" * 1000)
        assert (await server.error(changed))[0] == 409
        status, error = await server.error(beside(changed))
        assert (status, error["error"]) == (409, "source_changed")

        expired = await server.link("s3://stub/a", expires_in=60)
        later = time.time() + 61
        monkeypatch.setattr(time, "time", lambda: later)
        status, error = await server.error(beside(expired))
        assert (status, error["error"]) == (410, "link_expired")


async def test_while_it_is_planned_it_is_not_there_yet(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.objects.put("a", b"1")
    stub.on(lists(), lies.slow_first_byte(0.5))
    async with serving(stub_environment(stub.endpoint_url), tmp_path, monkeypatch, planning_wait_seconds=0) as server:
        status, begun = await server.ask("s3://stub/")
        assert status == 202
        async with server.client.get(beside(begun["url"])) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"]
            assert (await answer.json())["error"] == "still_planning"


async def test_downloads_go_on_meanwhile(stub: LyingS3, stub_server: Server) -> None:
    """Other answers come between the chunks of one that is taken as fast as it goes."""
    for number in range(6_000):
        stub.objects.put(f"folder/{number:05}.jpg", b"x")
    url = await stub_server.link("s3://stub/")
    answers = asyncio.create_task(text(stub_server, url))
    between = 0
    while not answers.done():
        async with stub_server.client.get(f"{stub_server.base}/healthz") as answer:
            assert answer.status == 200
        between += not answers.done()
    assert between >= 3
    told = json.loads(answers.result())
    assert len(told["entries"]) == told["entry_count"] == 6_000


async def test_who_takes_nothing_is_let_go(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the answer waits for the client; what it has of it then does not look whole."""
    for number in range(4_000):
        stub.objects.put(f"{'x' * 200}/{'y' * 200}/{'z' * 200}/{number}", b"")
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, client_stall_seconds=1) as server:
        parts = urlsplit(beside(await server.link("s3://stub/")))
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
            raw.setblocking(False)  # noqa: FBT003  -- the socket's own interface
            await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
            reader, writer = await asyncio.open_connection(sock=raw, limit=16 << 10)
            writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            while not await broken(server):
                await asyncio.sleep(0.1)
            got = bytearray()
            try:
                while chunk := await reader.read(MIB):
                    got += chunk
            except ConnectionError:
                pass
            writer.close()
        assert MIB // 100 < len(got) < 4_000 * 1_400
        assert not got.endswith(b"0\r\n\r\n")


async def broken(server: Server) -> bool:
    async with server.client.get(f"{server.base}/metrics") as answer:
        return 'manifest.json",status="broken"' in await answer.text()
