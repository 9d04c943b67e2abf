"""Looking around for something to zip: which buckets, what is in a folder, and how much it is."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.state.users import Role
from bucketzip.web import keys
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.lying_s3 import LyingS3, does
from tests.identities import new_identity
from tests.web.asking import user_of
from tests.web.serving import Server, serving, stub_environment

MANY = 10_000
ODD = [
    "odd/ plus+and space",
    "odd/%2F%41",
    "odd/a=b&c#d?e",
    "odd/\u00fc\u4e2d\U0001f600",
    "odd/<tag>'\"",
    "odd/*[a]*",
    "odd/..hidden",
]


async def told(server: Server, path: str, **query: Any) -> dict[str, Any]:
    async with server.client.get(server.base + path, params=query) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def walked(server: Server, path: str, **query: Any) -> list[dict[str, Any]]:
    """All pages of a listing."""
    pages = [await told(server, path, **query)]
    while (after := pages[-1]["next"]) is not None:
        pages.append(await told(server, path, after=after, **query))
    return pages


async def refused(server: Server, path: str, **query: Any) -> tuple[int, str, str]:
    async with server.client.get(server.base + path, params=query) as answer:
        error = await answer.json()
        return answer.status, error["error"], error["detail"]


async def test_the_buckets_of_the_role(server: Server, bucket: Bucket, s3_server: EmbeddedS3) -> None:
    answer = await told(server, "/buckets")
    assert (answer["complete"], answer["detail"]) == (True, None)
    names = [each["name"] for each in answer["buckets"]]
    assert names == sorted(names)
    assert {bucket.name, s3_server.bucket} <= set(names)
    assert all(each["created_at"].endswith("Z") for each in answer["buckets"])


async def test_a_folder_is_shown_level_by_level_and_in_pages(server: Server, bucket: Bucket) -> None:
    keys_in = [f"a/{name}" for name in "pqrstuv"] + ["a/", "a/sub/1", "a/sub/deep/2", "a/tub/3", "top", "ab/4"]
    await bucket.put_many({key: key.encode() if not key.endswith("/") else b"" for key in keys_in})
    path = f"/buckets/{bucket.name}/objects"
    top = await told(server, path)
    assert (top["bucket"], top["prefix"], top["next"]) == (bucket.name, "", None)
    assert sorted(top["folders"]) == ["a/", "ab/"]
    (only,) = top["objects"]
    assert (only["key"], only["bytes"], only["storage_class"]) == ("top", 3, "STANDARD")
    assert only["modified"].endswith("Z")
    pages = await walked(server, path, prefix="a/", limit=2)
    assert len(pages) > 3
    assert all(len(page["folders"]) + len(page["objects"]) <= 2 for page in pages)
    assert sorted(folder for page in pages for folder in page["folders"]) == ["a/sub/", "a/tub/"]
    found = [each["key"] for page in pages for each in page["objects"]]
    assert sorted(found) == [f"a/{name}" for name in "pqrstuv"], "without the marker of the folder itself"
    nothing = await told(server, path, prefix="nothing/")
    assert (nothing["folders"], nothing["objects"], nothing["next"]) == ([], [], None)


async def test_totals_are_of_all_that_lies_below(server: Server, bucket: Bucket) -> None:
    await bucket.put_many({"a/1": b"x" * 10, "a/b/2": b"x" * 20, "a/b/c/3": b"x" * 30, "ab/4": b"x" * 40})
    path = f"/buckets/{bucket.name}/totals"
    assert await told(server, path, prefix="a/") == {
        "bucket": bucket.name,
        "prefix": "a/",
        "entries": 3,
        "bytes": 60,
        "next": None,
    }
    assert (await told(server, path))["bytes"] == 100
    assert (await told(server, path, prefix="none/"))["entries"] == 0


async def test_counting_ends_when_it_is_enough_and_goes_on_from_there(stub_server: Server, stub: LyingS3) -> None:
    for number in range(2500):
        stub.objects.put(f"a/{number}", b"x" * number)
    browser = stub_server.app[keys.OWN].browser
    counted, after = [], ""
    for most in itertools.cycle([(1000, 60.0), (5000, 0.0)]):
        counted.append(await browser.totals("stub", "a/", after=after, most_keys=most[0], most_seconds=most[1]))
        if not (after := counted[-1].following):
            break
    assert [each.entries for each in counted] == [1000, 1000, 500]
    assert sum(each.bytes for each in counted) == sum(range(2500))


async def test_a_folder_of_ten_thousand(stub_server: Server, stub: LyingS3) -> None:
    for number in range(MANY):
        stub.objects.put(f"many/{number:05}", b"12345")
    stub.objects.put("many/folder/x", b"")
    pages = await walked(stub_server, "/buckets/stub/objects", prefix="many/", limit=1000)
    assert [each["key"] for page in pages for each in page["objects"]] == [f"many/{n:05}" for n in range(MANY)]
    assert [folder for page in pages for folder in page["folders"]] == ["many/folder/"]
    counted = await walked(stub_server, "/buckets/stub/totals", prefix="many/")  # one page, if it took less than 5 s
    assert sum(each["entries"] for each in counted) == MANY + 1
    assert sum(each["bytes"] for each in counted) == 5 * MANY


async def test_keys_are_shown_as_they_are(server: Server, bucket: Bucket) -> None:
    await bucket.put_many(dict.fromkeys(ODD, b"") | {"\u00fc +%/&?/x": b"y"})
    path = f"/buckets/{bucket.name}/objects"
    shown = await walked(server, path, prefix="odd/", limit=3)
    assert sorted(each["key"] for page in shown for each in page["objects"]) == sorted(ODD)
    assert (await told(server, path, prefix="\u00fc"))["folders"] == ["\u00fc +%/"]
    assert (await told(server, path, prefix="\u00fc +%/"))["folders"] == ["\u00fc +%/&?/"]
    assert (await told(server, f"/buckets/{bucket.name}/totals", prefix="\u00fc +%/&?/"))["entries"] == 1


async def test_characters_that_no_xml_can_have(stub_server: Server, stub: LyingS3) -> None:
    for key in ("x/\x01\x1f", "x/\x7f\u0085", "x/\n\r\t", "x/\x0b/y"):
        stub.objects.put(key, b"")
    shown = await told(stub_server, "/buckets/stub/objects", prefix="x/")
    assert [each["key"] for each in shown["objects"]] == ["x/\x01\x1f", "x/\n\r\t", "x/\x7f\u0085"]
    assert shown["folders"] == ["x/\x0b/"]
    assert (await told(stub_server, "/buckets/stub/totals", prefix="x/\x0b/"))["entries"] == 1


async def test_a_cursor_is_good_for_its_own_listing_alone(stub_server: Server, stub: LyingS3) -> None:
    for number in range(4):
        stub.objects.put(f"a/{number}", b"")
    good = (await told(stub_server, "/buckets/stub/objects", prefix="a/", limit=2))["next"]
    assert (await told(stub_server, "/buckets/stub/objects", prefix="a/", after=good))["next"] is None
    asked = stub.counts["ListObjectsV2"]
    changed = good[:-2] + ("AA" if good[-2:] != "AA" else "BB")
    for after in ("", "A", "1f", "YS8x", "../", "\u00fc", "\x00", changed, good[4:], good + "AAAA", "A" * 4000):
        for route in ("objects", "totals"):
            status, code, detail = await refused(stub_server, f"/buckets/stub/{route}", prefix="a/", after=after)
            assert (status, code) == (400, "invalid_request"), after
            assert "no `next` of an earlier answer" in detail
    for path, prefix in (("objects", "b/"), ("objects", ""), ("totals", "a/")):
        assert (await refused(stub_server, f"/buckets/stub/{path}", prefix=prefix, after=good))[0] == 400
    assert stub.counts["ListObjectsV2"] == asked, "S3 was not bothered with any of them"


@pytest.mark.parametrize("route", ["objects", "totals"])
async def test_what_is_wrong_is_said(stub_server: Server, stub: LyingS3, route: str) -> None:
    path = f"/buckets/stub/{route}"
    for query in ({"prefix": "x" * 1025}, {"prefix": "\U0001f600" * 300}, {"recursive": "true"}):
        assert (await refused(stub_server, path, **query))[:2] == (400, "invalid_request")
    for bucket in ("x", "..%2Fstub", "stub%2Fa", "a%20b", "%00"):
        async with stub_server.client.get(f"{stub_server.base}/buckets/{bucket}/{route}") as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "invalid_request"), bucket
    assert not stub.counts["ListObjectsV2"]
    assert (await refused(stub_server, f"/buckets/nope/{route}"))[:2] == (404, "no_such_bucket")
    assert (await refused(stub_server, f"/buckets/x--usw2-az1--x-s3/{route}"))[:2] == (501, "unsupported")
    stub.on(does("ListObjectsV2"), lies.access_denied())
    status, code, detail = await refused(stub_server, path)
    assert (status, code) == (403, "access_denied")
    assert detail.startswith("s3://stub/: ")
    assert "allow s3:ListBucket on the bucket" in detail


async def test_a_listing_that_lacks_something_is_no_listing(stub_server: Server, stub: LyingS3) -> None:
    stub.objects.put("a", b"1")
    stub.on(does("ListObjectsV2"), lies.edited(("<Size>1</Size>", "")))
    for route in ("objects", "totals"):
        status, code, detail = await refused(stub_server, f"/buckets/stub/{route}")
        assert (status, code) == (502, "s3_error")
        assert "'Size'" in detail


async def test_a_page_has_its_limits(stub_server: Server) -> None:
    for limit in ("0", "1001", "-1", "x"):
        assert (await refused(stub_server, "/buckets/stub/objects", limit=limit))[:2] == (400, "invalid_request")


async def test_a_user_sees_only_what_that_user_may_use(server: Server, bucket: Bucket, s3_server: EmbeddedS3) -> None:
    await bucket.put("a/1", b"")
    _, _, jailed = await user_of(server, Role.USER, f"{bucket.name[:-3]}*", "of-another-account")
    answer = await jailed("GET", "/buckets")
    assert [each["name"] for each in answer.json["buckets"]] == ["of-another-account", bucket.name]
    assert answer.json["buckets"][0]["created_at"] is None
    assert (await jailed("GET", f"/buckets/{bucket.name}/objects")).json["folders"] == ["a/"]
    _, _, admin = await user_of(server, Role.ADMIN, "of-another-account")
    for ask in (jailed, admin):
        for route in ("objects", "totals"):
            reply = await ask("GET", f"/buckets/{s3_server.bucket}/{route}")
            assert reply.error == (403, "forbidden")
            assert "of-another-account" in reply.json["detail"]


async def test_the_buckets_of_the_settings_are_offered(
    stub: LyingS3, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To whom may use them, where the role may not list any."""
    stub.on(does("ListBuckets"), lies.access_denied())
    environment = stub_environment(stub.endpoint_url)
    async with serving(environment, state_dir, monkeypatch, known_buckets="photos, reports,") as server:
        answer = await told(server, "/buckets")
        assert [each["name"] for each in answer["buckets"]] == ["photos", "reports"]
        assert answer["complete"] is False
        _, _, jailed = await user_of(server, Role.USER, "rep*")
        assert [each["name"] for each in (await jailed("GET", "/buckets")).json["buckets"]] == ["reports"]


async def test_a_role_that_may_not_list_buckets(stub_server: Server, stub: LyingS3) -> None:
    stub.on(does("ListBuckets"), lies.access_denied())
    anybody = await told(stub_server, "/buckets")
    assert (anybody["buckets"], anybody["complete"]) == ([], False)
    assert "AccessDenied" in anybody["detail"]
    assert "allow s3:ListAllMyBuckets" in anybody["detail"]
    _, _, ask = await user_of(stub_server, Role.USER, "stub", "logs-*", "b[0-9]", "c?")
    answer = (await ask("GET", "/buckets")).json
    assert answer["buckets"] == [{"name": "stub", "created_at": None}]
    assert not answer["complete"]
    stub.stop_lying()
    answer = (await ask("GET", "/buckets")).json
    assert answer == {
        "buckets": [{"name": "stub", "created_at": "2026-01-02T03:04:05Z"}],
        "complete": True,
        "detail": None,
    }


async def test_all_buckets_of_a_long_list(stub_server: Server, stub: LyingS3) -> None:
    goes_on = ("</Buckets>", "</Buckets><ContinuationToken>more</ContinuationToken>")
    stub.on(lambda asked: asked.operation == "ListBuckets" and not asked.query, lies.edited(goes_on))
    stub.on(lambda asked: asked.query == {"continuation-token": "more"}, lies.edited(("<Name>stub<", "<Name>later<")))
    answer = await told(stub_server, "/buckets")
    assert [each["name"] for each in answer["buckets"]] == ["later", "stub"]
    stub.on(does("ListBuckets"), lies.edited(goes_on))
    assert (await refused(stub_server, "/buckets"))[:2] == (502, "s3_error")


async def test_with_keys_that_s3_gave_one_bucket(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusals of a real server."""
    async with new_identity(s3_server, bucket.name) as identity:
        environment = s3_server.environment() | {
            "AWS_ACCESS_KEY_ID": identity.keys.access_key,
            "AWS_SECRET_ACCESS_KEY": identity.keys.secret_key,
        }
        async with serving(environment, tmp_path / "state", monkeypatch) as server:
            answer = await told(server, "/buckets")
            assert s3_server.bucket not in [each["name"] for each in answer["buckets"]]
            assert await told(server, f"/buckets/{bucket.name}/objects")
            assert (await refused(server, f"/buckets/{s3_server.bucket}/objects"))[:2] == (403, "access_denied")
            assert (await refused(server, "/buckets/nobodys/objects"))[1] in {"no_such_bucket", "access_denied"}
