"""An archive that goes into one of its own sources is not part of itself."""

import pytest

from bucketzip.errors import NoSuchObject, NothingToZip
from bucketzip.plan.hidden import Hiding
from tests.plan.planning import Shelf, plan


async def test_the_hidden_object_is_in_no_listing() -> None:
    catalog = Hiding(Shelf("a", "x.zip", "x.zip.old", "y"), "bucket", "x.zip")
    assert (await plan(catalog, "s3://bucket")).names == ["a", "x.zip.old", "y"]
    assert catalog.hidden
    assert (await plan(catalog, "s3://bucket/x*")).names == ["x.zip.old"]
    with pytest.raises(NoSuchObject):
        await plan(catalog, "s3://bucket/x.zip")
    with pytest.raises(NoSuchObject):
        await catalog.look("bucket", "x.zip")


async def test_an_object_of_that_key_in_another_bucket_is_shown() -> None:
    catalog = Hiding(Shelf("a", "x.zip"), "bucket", "x.zip")
    assert (await plan(catalog, "s3://another")).names == ["a", "x.zip"]
    assert (await catalog.look("another", "x.zip")).key == "x.zip"
    assert not catalog.hidden


async def test_what_was_never_there_was_not_hidden() -> None:
    catalog = Hiding(Shelf("a", "b"), "bucket", "x.zip")
    assert (await plan(catalog, "s3://bucket", "s3://bucket/a")).names == ["a", "b", "a (2)"]
    assert not catalog.hidden


async def test_a_folder_of_nothing_else_is_empty() -> None:
    with pytest.raises(NothingToZip):
        await plan(Hiding(Shelf("x/x.zip"), "bucket", "x/x.zip"), "s3://bucket/x/")
