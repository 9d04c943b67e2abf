"""Other names for folders: the longest folder counts, and every object has one place that follows from its key."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.plan.placing import Placing
from bucketzip.plan.request import DownloadRequest, SourceRequest
from tests.plan.planning import Shelf, listed, plan

SOURCE = SourceRequest(url="s3://bucket")
PARTS = st.sampled_from(["a", "b", "c"])
FOLDERS = st.lists(PARTS, max_size=4).map(lambda parts: "".join(f"{part}/" for part in parts))
KEYS = st.tuples(FOLDERS, PARTS).map("".join)
NAMES = st.lists(st.sampled_from(["x", "y", "/"]), max_size=2).map("/".join)


def placing(renames: dict[str, str], **fields: Any) -> Placing:
    rename = [{"folder": folder, "name": name} for folder, name in renames.items()]
    return Placing(DownloadRequest.model_validate({"sources": ["s3://bucket"], "rename": rename, **fields}))


async def names_of(*keys: str, rename: dict[str, str], url: str = "s3://bucket", **fields: Any) -> dict[str, str]:
    """Return the name that each key gets."""
    renames = [{"folder": folder, "name": name} for folder, name in rename.items()]
    planned = await plan(Shelf(*keys), url, rename=renames, **fields)
    return {key: name for name, key in planned.keys.items()}


@pytest.mark.parametrize(
    ("rename", "places"),
    [
        ({"bucket/a/": "x"}, {"a/1": "x/1", "a/b/2": "x/b/2", "c/3": "c/3", "ab/4": "ab/4"}),
        ({"bucket/a/": ""}, {"a/1": "1", "a/b/2": "b/2"}),
        ({"bucket/a/": "x", "bucket/a/b/": "y/z"}, {"a/1": "x/1", "a/b/2": "y/z/2", "a/b/c/3": "y/z/c/3"}),
        ({"bucket/": "all"}, {"a/1": "all/a/1", "2": "all/2"}),
        ({"/": "rest", "bucket/a/": ""}, {"a/1": "1", "c/2": "rest/c/2"}),
        ({"/": ""}, {"a/1": "a/1", "2": "2"}),
        ({"bucket/a/": "/x/"}, {"a/1": "x/1"}),
        ({"bucket/a/": "/"}, {"a/1": "1"}),
        ({"other/a/": "x"}, {"a/1": "a/1"}),
    ],
)
async def test_folders_get_other_names(rename: dict[str, str], places: dict[str, str]) -> None:
    assert await names_of(*places, rename=rename) == places


async def test_a_renamed_folder_does_not_go_by_its_source_but_below_the_root() -> None:
    source = {"url": "s3://bucket/a/b", "name": "n", "prefix": "p"}
    renames = [{"folder": "bucket/a/b/c/", "name": "x"}]
    planned = await plan(Shelf("a/b/c/1", "a/b/2"), source, rename=renames, root="root")
    assert planned.keys == {"root/x/1": "a/b/c/1", "root/p/n/2": "a/b/2"}


async def test_renames_that_clash_get_numbers_and_unsafe_ones_stay_inside() -> None:
    assert await names_of("a/1.txt", "b/1.txt", rename={"bucket/a/": "", "bucket/b/": ""}) == {
        "a/1.txt": "1.txt",
        "b/1.txt": "1 (2).txt",
    }
    assert await names_of("a/1", rename={"bucket/a/": "../../etc"}) == {"a/1": "_/_/etc/1"}


async def test_markers_go_with_their_folder_or_away_with_its_name() -> None:
    shelf = Shelf(listed("a/", size=0), listed("a/b/", size=0), listed("c/", size=5))
    renames = [{"folder": "bucket/a/", "name": ""}, {"folder": "bucket/c/", "name": ""}]
    planned = await plan(shelf, "s3://bucket", rename=renames)
    assert planned.names == ["b/", "c"]
    planned = await plan(shelf, "s3://bucket", rename=[{"folder": "bucket/a/", "name": "x"}])
    assert planned.names == ["x/", "x/b/", "c"]


async def test_flattened_there_are_no_folders_to_rename() -> None:
    assert await names_of("a/1", rename={"bucket/a/": "x", "/": "y"}, flatten=True) == {"a/1": "1"}


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FOLDERS.map("bucket/".__add__), NAMES, max_size=4), KEYS)
def test_the_longest_folder_counts(renames: dict[str, str], key: str) -> None:
    place = placing(renames).file(key, key, SOURCE)
    matching = [folder for folder in renames if f"bucket/{key}".startswith(folder)]
    if not matching:
        assert place == key
    else:
        longest = max(matching, key=len)
        name = renames[longest].strip("/")
        assert place == "/".join(filter(None, [name, f"bucket/{key}"[len(longest) :]]))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(FOLDERS.map("bucket/".__add__), NAMES, max_size=4), KEYS)
def test_a_rename_that_does_not_match_changes_nothing(renames: dict[str, str], key: str) -> None:
    kept = {folder: name for folder, name in renames.items() if f"bucket/{key}".startswith(folder)}
    assert placing(renames).file(key, key, SOURCE) == placing(kept).file(key, key, SOURCE)
