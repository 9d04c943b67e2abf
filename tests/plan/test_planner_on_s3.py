"""Which objects a source means, on a real S3 server and by the real catalog."""

import zlib
from typing import Any

import pytest

from bucketzip.archive.manifest import READ_AHEAD_BYTES
from bucketzip.errors import NoSuchBucket, NoSuchObject, NothingToZip
from bucketzip.s3.listing import S3Catalog
from tests.plan.conftest import Corner
from tests.plan.planning import Planned, plan

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_bucket_gives_its_keys_as_they_are(catalog: S3Catalog, own_bucket: Corner) -> None:
    keys = ["a.txt", "dir/b.txt", "dir/deep/c.txt"]
    await own_bucket.fill(*keys)
    for url in (f"s3://{own_bucket.bucket}", f"s3://{own_bucket.bucket}/", f"s3://{own_bucket.bucket}/*"):
        assert (await plan(catalog, url)).keys == {key: key for key in keys}


async def test_rsyncs_habit(catalog: S3Catalog, corner: Corner) -> None:
    """With a slash, what is in the folder; without, the folder."""
    await corner.fill("a/b/c.txt", "a/b/d/e.txt", "a/other.txt")

    async def keys(path: str) -> dict[str, str]:
        return corner.keys(await plan(catalog, corner.url(path)))

    assert await keys("a/b/") == {"c.txt": "a/b/c.txt", "d/e.txt": "a/b/d/e.txt"}
    assert await keys("a/b") == {"b/c.txt": "a/b/c.txt", "b/d/e.txt": "a/b/d/e.txt"}
    assert await keys("a/b/c.txt") == {"c.txt": "a/b/c.txt"}


async def test_a_url_without_a_slash_never_takes_its_neighbours_along(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("2024/a.txt", "2024-private/secret.txt", "2024.txt", "20241/x.txt", "20/y.txt")
    assert (await plan(catalog, corner.url("2024"))).names == ["2024/a.txt"]
    assert (await plan(catalog, corner.url("2024/"))).names == ["a.txt"]
    with pytest.raises(NoSuchObject):
        await plan(catalog, corner.url("202"))


async def test_a_prefix_is_asked_for_with_a_star(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("x/2024/a.txt", "x/2024-private/b.txt", "x/2024.txt", "x/2023.txt")
    in_2024 = {name: f"x/{name}" for name in ("2024/a.txt", "2024-private/b.txt", "2024.txt")}
    assert corner.keys(await plan(catalog, corner.url("x/2024*"))) == in_2024
    assert corner.keys(await plan(catalog, corner.url("x/*"))) == in_2024 | {"2023.txt": "x/2023.txt"}


async def test_an_object_and_a_folder_of_one_name_are_both_taken(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("dir/both", "dir/both/a.txt")
    planned = await plan(catalog, corner.url("dir/both"))
    assert corner.keys(planned) == {"both": "dir/both", "both (2)/a.txt": "dir/both/a.txt"}


async def test_names_and_places(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("dir/a.txt", "dir/sub/b.txt")
    one, folder = corner.url("dir/a.txt"), corner.url("dir")

    async def names(*sources: str | dict[str, Any], **fields: Any) -> list[str]:
        return (await plan(catalog, *sources, **fields)).names

    assert await names({"url": one, "name": "new.txt"}) == ["new.txt"]
    assert await names({"url": one, "name": "in/a/folder.txt"}) == ["in/a/folder.txt"]
    assert await names({"url": folder, "name": "new"}) == ["new/a.txt", "new/sub/b.txt"]
    assert await names({"url": folder, "prefix": "/a/b/"}) == ["a/b/dir/a.txt", "a/b/dir/sub/b.txt"]
    assert await names({"url": one, "prefix": "p"}, one, root="root/") == ["root/p/a.txt", "root/a.txt"]
    assert await names({"url": folder, "prefix": "p"}, flatten=True, root="r") == ["r/p/a.txt", "r/p/b.txt"]
    assert await names({"url": one, "prefix": "../up"}, root="/abs") == ["abs/_/up/a.txt"]


async def test_flattened_objects_of_one_name_are_numbered_in_order(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("a/same.txt", "b/same.txt", "c/")
    planned = await plan(catalog, corner.url(), flatten=True)
    assert corner.keys(planned) == {"same.txt": "a/same.txt", "same (2).txt": "b/same.txt"}
    assert len(planned.names) == 2, "folders are left out"


async def test_folder_markers_become_folders(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("empty/", "full/", "full/a.txt")
    planned = await plan(catalog, corner.url())
    assert planned.names == ["empty/", "full/", "full/a.txt"]
    assert planned.text("empty/") == ""
    assert (await plan(catalog, corner.url("full/"))).names == ["a.txt"], "its own marker has no name in it"


async def test_empty_objects_are_entries_whose_crc_is_known(catalog: S3Catalog, corner: Corner) -> None:
    await corner.put("empty.txt", b"")
    await corner.put("full.txt", b"x")
    planned = await plan(catalog, corner.url())
    assert corner.keys(planned) == {"empty.txt": "empty.txt", "full.txt": "full.txt"}
    assert list(planned.manifest.sizes) == [0, 1]
    assert [planned.manifest.crc(0), planned.manifest.crc(1)] == [0, None]


async def test_globs_choose_among_what_a_source_has(catalog: S3Catalog, corner: Corner) -> None:
    everything = {"a.txt", "b.jpg", "dir/c.txt", "dir/deep/d.txt", "tmp/e.txt", ".hidden.txt"}
    await corner.fill(*(f"x/{name}" for name in everything))

    async def chosen(**globs: list[str]) -> set[str]:
        return set((await plan(catalog, {"url": corner.url("x/"), **globs})).names)

    assert await chosen(include=["*.txt"]) == everything - {"b.jpg"}
    assert await chosen(exclude=["tmp/"]) == everything - {"tmp/e.txt"}
    assert await chosen(include=["*.txt"], exclude=["tmp/", ".*"]) == {"a.txt", "dir/c.txt", "dir/deep/d.txt"}
    assert await chosen(include=["*.jpg", "c.*"]) == {"b.jpg", "dir/c.txt"}


async def test_a_missing_source_fails_and_is_named(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("there.txt")
    with pytest.raises(NoSuchObject) as caught:
        await plan(catalog, corner.url("gone.txt"), corner.url("there.txt"), corner.url("also/gone"))
    said = str(caught.value)
    assert f"there is no object and no folder {corner.url('gone.txt')}" in said
    assert corner.url("also/gone") in said
    assert "there.txt" not in said
    assert "on_missing" not in said, "that is for whoever knows how it is spelt"


async def test_a_missing_source_is_left_out_and_listed_where_asked(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("there.txt")

    async def planned() -> Planned:
        sources = map(corner.url, ["gone.txt", "there.txt", "empty/"])
        return await plan(catalog, *sources, on_missing="skip", root="root")

    first = await planned()
    assert first.names == ["root/there.txt", "root/MISSING.txt"]
    text = first.text("root/MISSING.txt")
    assert f"{corner.url('gone.txt')}\tno_such_object\t" in text
    assert f"{corner.url('empty/')}\tnothing_to_zip\tthere are no objects in {corner.url('empty/')}" in text
    assert "there.txt" not in text
    assert (await planned()).etag == first.etag, "its text and its time come from the objects"


async def test_the_list_of_what_is_missing_is_there_only_where_something_is(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("MISSING.txt")
    assert (await plan(catalog, corner.url(), on_missing="skip")).names == ["MISSING.txt"]
    planned = await plan(catalog, corner.url(), corner.url("gone"), on_missing="skip")
    assert planned.names == ["MISSING.txt", "MISSING (2).txt"]
    assert corner.keys(planned) == {"MISSING.txt": "MISSING.txt"}


async def test_an_empty_prefix_is_nothing_to_zip(catalog: S3Catalog, corner: Corner) -> None:
    for path in ("", "no/", "no*"):
        with pytest.raises(NothingToZip) as caught:
            await plan(catalog, corner.url(path))
        assert f"there are no objects in {corner.url(path)}" in str(caught.value)


async def test_globs_that_leave_nothing_are_named_as_the_reason(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill("dir/a.txt", "one.txt")
    for path in ("dir/", "dir", "one.txt", "*"):
        with pytest.raises(NothingToZip) as caught:
            await plan(catalog, {"url": corner.url(path), "include": ["*.jpg"]})
        assert f"no object of {corner.url(path)} matches its include and exclude globs" in str(caught.value)


async def test_an_unknown_bucket_is_named_and_never_skipped(catalog: S3Catalog, corner: Corner) -> None:
    gone = f"{corner.bucket}-gone"
    for path in ("", "a/", "a", "a*"):
        with pytest.raises(NoSuchBucket, match=f"s3://{gone}"):
            await plan(catalog, f"s3://{gone}/{path}", on_missing="skip")


async def test_a_version_is_one_object_as_it_was(catalog: S3Catalog, own_bucket: Corner) -> None:
    await own_bucket.version()
    old = await own_bucket.put("dir/a.txt", b"old, and longer")
    new = await own_bucket.put("dir/a.txt", b"new")
    await own_bucket.fill("dir/a.txt/in a folder of its name")

    planned = await plan(catalog, {"url": own_bucket.url("dir/a.txt"), "version_id": old.version_id})
    assert planned.names == ["a.txt"], "a version is of an object, never of a folder"
    assert planned.source("a.txt").version_id == old.version_id
    assert planned.source("a.txt").etag == old.etag != new.etag
    assert planned.manifest.sizes[0] == len(b"old, and longer")

    planned = await plan(catalog, {"url": own_bucket.url("dir/a.txt"), "name": "b", "version_id": new.version_id})
    assert planned.source("b").etag == new.etag


async def test_a_version_that_is_not_there_is_named(catalog: S3Catalog, own_bucket: Corner) -> None:
    await own_bucket.version()
    await own_bucket.put("a.txt", b"")
    with pytest.raises(NoSuchObject) as caught:
        await plan(catalog, {"url": own_bucket.url("a.txt"), "version_id": "0123456789abcdef0123456789abcdef"})
    said = f"there is no version 0123456789abcdef0123456789abcdef of {own_bucket.url('a.txt')}"
    assert said in str(caught.value)


async def test_a_stored_crc_spares_a_large_entry_its_descriptor(catalog: S3Catalog, corner: Corner) -> None:
    content = b"large" * (READ_AHEAD_BYTES // 5 + 1)
    assert len(content) > READ_AHEAD_BYTES
    await corner.put("with.bin", content, ChecksumAlgorithm="CRC32")
    await corner.put("without.bin", content)
    await corner.put("small.bin", content[:READ_AHEAD_BYTES])
    planned = await plan(catalog, corner.url())
    crcs = {name: planned.manifest.crc(entry) for name, entry in planned.entries.items()}
    late = {name for name, entry in planned.entries.items() if planned.manifest.late(entry)}
    assert crcs == {"with.bin": zlib.crc32(content), "without.bin": None, "small.bin": None}
    assert late == {"without.bin"}


async def test_the_same_objects_are_the_same_archive(catalog: S3Catalog, corner: Corner) -> None:
    await corner.fill(*(f"dir {number % 7}/{number}.txt" for number in range(40)), "empty/")
    sources = [corner.url("dir 3"), corner.url(), corner.url("dir 1/*")]
    first = await plan(catalog, *sources)
    assert (await plan(catalog, *sources)).etag == first.etag
    assert (await plan(catalog, *sources, filename="other.zip", expires_in=60)).etag == first.etag
    assert (await plan(catalog, *reversed(sources))).etag != first.etag
    await corner.put("dir 3/3.txt", b"changed")
    assert (await plan(catalog, *sources)).etag != first.etag


async def test_entries_are_pinned_as_they_are_listed(catalog: S3Catalog, corner: Corner) -> None:
    put = await corner.put("caf\u00e9/\u65e5\u672c.txt", b"content")
    planned = await plan(catalog, corner.url())
    assert planned.names == ["caf\u00e9/\u65e5\u672c.txt"]
    key = f"{corner.folder}caf\u00e9/\u65e5\u672c.txt"
    assert planned.source("caf\u00e9/\u65e5\u672c.txt") == (corner.bucket, key, put.etag, "")
    assert planned.manifest.sizes[0] == len(b"content")
    head = await corner.client.head_object(Bucket=corner.bucket, Key=key)
    assert planned.manifest.mtime(0) == int(head["LastModified"].timestamp())


async def test_many_sources_keep_their_order(catalog: S3Catalog, corner: Corner) -> None:
    keys = [f"{number * 37 % 60:03}.txt" for number in range(60)]
    await corner.fill(*keys)
    planned = await plan(catalog, *map(corner.url, keys), corner.url(keys[0]))
    assert planned.names == [*keys, f"{keys[0].removesuffix('.txt')} (2).txt"]
