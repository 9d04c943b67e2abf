"""What is wrong with a request is said before the first byte, with what to do about it."""

import re
from pathlib import Path
from typing import Any

import pytest

from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.lying_s3 import LyingS3, heads, lists
from tests.web.serving import Server, serving

MIB = 1 << 20


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"[]", "the body"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"{}", "sources: Field required"),
        (b'{"sources": []}', "sources: List should have at least 1 item"),
        (b'{"sources": "s3://b/"}', "sources: Input should be a valid"),
        (b'{"sources": [7]}', "sources.0"),
        (b'{"sources": ["http://b/x"]}', "s3://bucket/key"),
        (b'{"sources": ["s3://"]}', "not a bucket's name"),
        (b'{"sources": ["s3://b b/"]}', "not a bucket's name"),
        (b'{"sources": ["s3://bb/"], "flatten": "yes"}', "flatten: Input should be a valid boolean"),
        (b'{"sources": ["s3://bb/"], "expires_in": 1}', "expires_in: Input should be greater than or equal to 60"),
        (b'{"sources": ["s3://bb/"], "on_missing": "ignore"}', "on_missing: Input should be 'fail' or 'skip'"),
        (b'{"sources": ["s3://bb/"], "filename": "a/b"}', "filename"),
        (b'{"sources": ["s3://bb/"], "colour": "red"}', "colour: unknown field (known: sources,"),
        (b'{"sources": [{"url": "s3://bb/", "glob": "*"}]}', "sources.0.glob: unknown field"),
        (b'{"sources": [{"url": "s3://bb/", "name": "n"}]}', "`name` needs the URL of one object"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(stub_server: Server, body: bytes, said: str) -> None:
    async with stub_server.client.post(f"{stub_server.base}/downloads", data=body) as answer:
        error = await answer.json()
        assert answer.status == 400
        assert error["error"] == "invalid_request"
        assert said in error["detail"]
        assert error["request_id"] == answer.headers["X-Request-Id"]


async def test_a_huge_body_is_refused_without_reading_it(stub_server: Server) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * MIB

    async with stub_server.client.post(f"{stub_server.base}/downloads", data=endless()) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"] == "request_too_large"


async def test_unknown_addresses_and_methods_answer_in_json(stub_server: Server) -> None:
    for method, path, status, code in [
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/downloads", 405, "method_not_allowed"),
        ("GET", "/d/AAAAAAAAAAAAAAAAAAAAAA/a.zip", 404, "no_such_link"),
    ]:
        async with stub_server.client.request(method, stub_server.base + path) as answer:
            assert (answer.status, (await answer.json())["error"]) == (status, code)


async def test_an_unknown_bucket(server: Server) -> None:
    status, answer = await server.ask("s3://no-such-bucket-here/a/")
    assert (status, answer["error"]) == (404, "no_such_bucket")
    assert "no-such-bucket-here" in answer["detail"]


async def test_an_empty_prefix_names_the_source(server: Server, bucket: Bucket) -> None:
    await bucket.put("there/x", b"x")
    status, answer = await server.ask(bucket.url("there/"), bucket.url("not-there/"))
    assert (status, answer["error"]) == (404, "nothing_to_zip")
    assert bucket.url("not-there/") in answer["detail"]
    assert "skip" in answer["detail"]


async def test_a_missing_object_names_the_source(server: Server, bucket: Bucket) -> None:
    status, answer = await server.ask(bucket.url("gone.txt"))
    assert (status, answer["error"]) == (404, "no_such_object")
    assert bucket.url("gone.txt") in answer["detail"]


async def test_wrong_keys(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**s3_server.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"}
    async with serving(environment, tmp_path, monkeypatch) as server:
        status, answer = await server.ask(bucket.url())
        assert (status, answer["error"]) == (403, "access_denied")
        assert "secret key" in answer["detail"]
        assert "wrong" not in answer["detail"]


async def test_no_permission(stub: LyingS3, stub_server: Server) -> None:
    stub.objects.put("a", b"1")
    stub.on(lists(), lies.refuse(403, "AccessDenied"))
    stub.on(heads(), lies.refuse(403, "AccessDenied"))
    for source in ("s3://stub/", "s3://stub/a"):
        status, answer = await stub_server.ask(source)
        assert (status, answer["error"]) == (403, "access_denied")
        assert "s3:ListBucket" in answer["detail"]


async def test_expired_credentials(stub: LyingS3, stub_server: Server) -> None:
    stub.on(lists(), lies.expired_token())
    status, answer = await stub_server.ask("s3://stub/")
    assert (status, answer["error"]) == (503, "credentials_expired")


async def test_no_credentials_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving({}, tmp_path, monkeypatch) as server:
        for url in ("/readyz", "/healthz"):
            async with server.client.get(server.base + url) as answer:
                assert answer.status == (503 if url == "/readyz" else 200)
        status, answer_ = await server.ask("s3://some-bucket/")
        assert (status, answer_["error"]) == (503, "no_credentials")
        assert "Attach a role" in answer_["detail"]


async def test_a_listing_that_breaks_makes_no_archive(stub: LyingS3, stub_server: Server) -> None:
    for number in range(9000):
        stub.objects.put(f"k{number:05}", b"x")
    stub.on(lists(), lies.refuse(403, "AccessDenied"), skip=6)
    status, answer = await stub_server.ask("s3://stub/")
    assert (status, answer["error"]) == (403, "access_denied")


async def test_a_link_that_expired_says_so(server: Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    await bucket.put("a", b"1")
    url = await server.link(bucket.url(), expires_in=60)
    import time  # noqa: PLC0415

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    status, answer = await server.error(url)
    assert (status, answer["error"]) == (410, "link_expired")


async def test_planning_that_takes_long_answers_at_once(
    stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.web.serving import stub_environment  # noqa: PLC0415

    stub.objects.put("a", b"1")
    stub.on(lists(), lies.slow_first_byte(1.0))
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, tmp_path, monkeypatch, planning_wait_seconds=0.2) as server:
        status, answer = await server.ask("s3://stub/")
        assert (status, answer["state"]) == (202, "planning")
        async with server.client.get(answer["url"]) as early:
            assert early.status == 503
            assert re.fullmatch(r"\d+", early.headers["Retry-After"])
            assert (await early.json())["error"] == "still_planning"
        for _ in range(20):
            async with server.client.get(answer["url"]) as late:
                if late.status == 200:
                    assert len(await late.read()) == late.content_length
                    return
        raise AssertionError("never planned")
