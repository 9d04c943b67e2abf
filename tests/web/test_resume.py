"""Any part of an archive, in any order, from any number of clients: the same bytes as in the whole."""

import asyncio
import random
from itertools import pairwise
from pathlib import Path

import pytest

from bucketzip.transfer import learner, opened
from bucketzip.web import keys
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, gets
from tests.web.serving import Server, serving, stub_environment

MIB = 1 << 20


def fill(stub: LyingS3) -> None:
    for number, size in enumerate([100, 9 * MIB, 0, 3 * MIB, 70_000, 20 * MIB + 5] + [5000] * 60):
        stub.objects.put(f"{number:03}", Synthetic(size, number))


async def part(server: Server, url: str, start: int, stop: int) -> bytes:
    async with server.client.get(url, headers={"Range": f"bytes={start}-{stop - 1}"}) as answer:
        assert answer.status == 206, await answer.text()
        body = await answer.read()
        assert len(body) == stop - start == answer.content_length
        return body


async def size_of(server: Server, url: str) -> int:
    async with server.client.head(url) as head:
        assert head.headers["Accept-Ranges"] == "bytes"
        assert head.content_length is not None
        return head.content_length


async def test_any_slice_equals_that_slice_of_the_whole(stub: LyingS3, stub_server: Server) -> None:
    """Asked for before anything is known of the contents: the CRCs a slice needs are learned for it."""
    fill(stub)
    url = await stub_server.link("s3://stub/")
    size = await size_of(stub_server, url)
    dice = random.Random(5)
    cuts = sorted({0, 1, size - 1, size, *(dice.randrange(size) for _ in range(12))})
    slices = list(pairwise(cuts))
    dice.shuffle(slices)
    parts = dict(zip(slices, await asyncio.gather(*(part(stub_server, url, *each) for each in slices)), strict=True))
    joined = b"".join(parts[each] for each in sorted(parts))
    assert joined == await stub_server.fetch(url)
    await stub_server.idle()


async def test_what_lies_before_a_slice_is_not_read_when_crcs_are_known(stub: LyingS3, stub_server: Server) -> None:
    fill(stub)
    url = await stub_server.link("s3://stub/")
    whole = await stub_server.fetch(url)
    stub.requests.clear()
    start = len(whole) - 200_000
    assert await part(stub_server, url, start, len(whole)) == whole[start:]
    asked = {asked.key for asked in stub.requests if asked.method == "GET"}
    assert asked <= {f"{number:03}" for number in range(25, 66)}


async def test_crcs_are_kept_through_a_restart(stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(stub)
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch) as server:
        url = await server.link("s3://stub/")
        whole = await server.fetch(url)
        await server.idle()  # what was learned is written when the download has ended
    stub.requests.clear()
    async with serving(environment, tmp_path, monkeypatch) as server:
        url = server.base + url[url.index("/d/") :]
        assert await part(server, url, len(whole) - 1000, len(whole)) == whole[-1000:]
    assert not [asked for asked in stub.requests if asked.method == "GET"], "the directory alone needs no content"


async def test_missing_crcs_are_read_once_for_all_who_wait(stub: LyingS3, stub_server: Server) -> None:
    fill(stub)
    url = await stub_server.link("s3://stub/")
    size = await size_of(stub_server, url)
    tails = await asyncio.gather(*(part(stub_server, url, size - 1000, size) for _ in range(8)))
    assert len(set(tails)) == 1
    read = sum(1 for asked in stub.requests if asked.key == "003")
    assert read <= 3, "3 MiB are a few ranges, and were read once and not eight times"


async def test_answers_to_conditions(stub: LyingS3, stub_server: Server) -> None:
    stub.objects.put("a", b"12345")
    _, answer = await stub_server.ask("s3://stub/")
    url, etag, size = answer["url"], answer["etag"], answer["bytes"]
    assert answer["resumable"] is True
    for headers, status, length in [
        ({"If-None-Match": etag}, 304, None),
        ({"If-Match": '"other"'}, 412, None),
        ({"Range": f"bytes={size}-"}, 416, None),
        ({"Range": "bytes=0-9", "If-Range": etag}, 206, 10),
        ({"Range": "bytes=0-9", "If-Range": '"other"'}, 200, size),
        ({"Range": "bytes=0-1,4-5"}, 200, size),
        ({"Range": "pages=1-2"}, 200, size),
        ({"Range": "bytes=-7"}, 206, 7),
    ]:
        async with stub_server.client.get(url, headers=headers) as got:
            assert got.status == status, headers
            if length is not None:
                assert got.content_length == length == len(await got.read())
            if status == 206:
                assert got.headers["Content-Range"].endswith(f"/{size}")
            if status == 416:
                assert got.headers["Content-Range"] == f"bytes */{size}"
                assert (await got.json())["error"] == "range_not_satisfiable"
            if status == 304:
                assert got.headers["ETag"] == etag
    async with stub_server.client.head(url, headers={"Range": "bytes=0-9"}) as head:
        assert (head.status, head.content_length) == (200, size)


async def test_a_slice_of_something_that_changed_is_a_409(server: Server, bucket: Bucket) -> None:
    await bucket.put_many({"a": b"x" * 100_000, "b": b"y" * 100})
    url = await server.link(bucket.url())
    size = await size_of(server, url)
    await bucket.put("a", b"z" * 100_000)
    async with server.client.get(url, headers={"Range": f"bytes={size - 10}-"}) as answer:
        got = answer.status, (await answer.read() if answer.status == 206 else b"")
    # The end record alone tells nothing of contents; a slice with the directory does.
    assert got[0] == 206
    async with server.client.get(url, headers={"Range": f"bytes={size - 130}-"}) as answer:
        assert answer.status == 409
        assert bucket.url("a") in (await answer.json())["detail"]


async def test_a_source_that_breaks_while_crcs_are_learned_breaks_the_slice(stub: LyingS3, stub_server: Server) -> None:
    fill(stub)
    url = await stub_server.link("s3://stub/")
    size = await size_of(stub_server, url)
    stub.on(gets("000"), lies.refuse(403, "AccessDenied"))
    async with stub_server.client.get(url, headers={"Range": f"bytes={size - 3800}-"}) as answer:
        assert answer.status == 403
        assert "s3://stub/000" in (await answer.json())["detail"]
    await stub_server.idle()


async def test_the_first_byte_is_not_waited_for_without_end(
    stub: LyingS3, stub_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bucketzip.web.handlers import downloads  # noqa: PLC0415

    monkeypatch.setattr(downloads, "FIRST_BYTE_SECONDS", 0.2)
    stub.objects.put("a", Synthetic(9 * MIB))
    url = await stub_server.link("s3://stub/")
    whole = await stub_server.fetch(url)
    stub.objects.put("b", Synthetic(9 * MIB, 1))
    url = await stub_server.link("s3://stub/b")
    size = await size_of(stub_server, url)
    go_on = asyncio.Event()
    stub.on(gets("b"), lies.held(go_on))
    headers = {"Range": f"bytes={size - 60}-"}
    async with stub_server.client.get(url, headers=headers) as answer:
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert (await answer.json())["error"] == "still_reading"
    go_on.set()
    for _ in range(500):
        async with stub_server.client.get(url, headers=headers) as answer:
            if answer.status == 206:
                assert len(await answer.read()) == 60
                break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("the work did not go on")
    assert whole


async def test_an_archive_that_nobody_sends_is_let_go(
    stub: LyingS3, stub_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "RECENT_SECONDS", 0.0)
    stub.objects.put("a", b"1")
    assert await stub_server.zip("s3://stub/")
    archives = stub_server.app[keys.OWN].archives
    for _ in range(1200):
        if not archives._opened:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it is held for ever")


async def test_nothing_is_learned_for_ever_for_a_client_that_left(
    stub: LyingS3, stub_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request for the end of a large archive, given up at once, must not read all of it."""
    monkeypatch.setattr(learner, "LINGER_SECONDS", 0.2)
    for number in range(200):
        stub.objects.put(f"{number:03}", Synthetic(9 * MIB, number))
    stub.on(gets(), lies.slow_first_byte(0.1))
    url = await stub_server.link("s3://stub/")
    size = await size_of(stub_server, url)
    request = asyncio.create_task(stub_server.client.get(url, headers={"Range": f"bytes={size - 100}-"}))
    while not stub.under_way:
        await asyncio.sleep(0.01)
    request.cancel()
    await stub_server.idle()
    for _ in range(50):
        asked = len(stub.requests)
        await asyncio.sleep(0.3)
        if asked == len(stub.requests) and not stub.under_way:
            break
    assert len(stub.requests) < 200 * 9


async def test_who_comes_while_learning_is_given_up_still_gets_it(
    stub: LyingS3, stub_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner, "LINGER_SECONDS", 0.0)
    fill(stub)
    url = await stub_server.link("s3://stub/")
    size = await size_of(stub_server, url)
    for _ in range(5):
        request = asyncio.create_task(part(stub_server, url, size - 1000, size))
        await asyncio.sleep(0.02)
        request.cancel()
    tail = await part(stub_server, url, size - 1000, size)
    assert (await stub_server.fetch(url))[-1000:] == tail
