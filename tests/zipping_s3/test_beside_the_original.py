"""`ZippingS3` and the class of PyPI's `s3-simple-compress`, on one bucket: the same where that is right."""

import asyncio
import base64
import io
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bucketzip import ZippingS3
from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket
from tests.servers.processes import installed

SCRIPT = Path(__file__).with_name("original.py")

Call = tuple[str, dict[str, Any]]


class Original:
    """The process that answers for the original: it takes a second of CPU to start."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def __call__(self, *calls: Call) -> list[Any]:
        """What an object of the original returns or raises, one result a call."""
        return await asyncio.to_thread(self._results, calls)

    def _results(self, calls: tuple[Call, ...]) -> list[Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(calls), file=self._process.stdin, flush=True)
        results: list[Any] = json.loads(self._process.stdout.readline())
        return results


@pytest.fixture(scope="module")
def original(s3_server: EmbeddedS3) -> Iterator[Original]:
    with subprocess.Popen(
        [
            installed("s3-simple-compress") / "bin" / "python",
            *(SCRIPT, s3_server.endpoint_url, s3_server.access_key, s3_server.secret_key),
        ],
        env={"AWS_DEFAULT_REGION": s3_server.region, "AWS_EC2_METADATA_DISABLED": "true"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Original(process)


def ours(server: EmbeddedS3) -> ZippingS3:
    zips3 = ZippingS3()
    zips3.credentials(server.access_key, server.secret_key, url=server.endpoint_url)
    return zips3


def download(bucket: Bucket, prefix: str) -> Call:
    return "s3_download_in_memory", {"bucket_name": bucket.name, "prefix": prefix}


def zipping(bucket: Bucket, prefix: str, zip_name: str, **more: Any) -> Call:
    if "files" in more:
        more["files"] = [(name, base64.b64encode(data).decode()) for name, data in more["files"]]
    return "zipping_in_s3", {"bucket_name": bucket.name, "prefix": prefix, "zip_name": zip_name, **more}


def in_memory(*files: tuple[str, bytes]) -> list[tuple[str, io.BytesIO]]:
    return [(name, io.BytesIO(data)) for name, data in files]


async def entries(bucket: Bucket, key: str) -> list[tuple[str, bytes]]:
    """Of an archive in the bucket: names and contents."""
    answer = await bucket.client.get_object(Bucket=bucket.name, Key=key)
    with zipfile.ZipFile(io.BytesIO(await answer["Body"].read())) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


async def test_what_is_read_into_memory_is_the_same(original: Original, s3_server: EmbeddedS3, bucket: Bucket) -> None:
    await bucket.put_many(
        {
            "in/q/c.txt": b"c",
            "in/q/d/e.txt": b"e",
            "in/q/d/": b"",
            "in/q/empty": b"",
            "in/q/\u00fc +%~&.txt": b"odd",
            "in/quite": b"beside",
            "inq.txt": b"at the root",
            "large/x": os.urandom(9 << 20),
        }
    )
    prefixes = ("in/q/", "in/q", "in/q/c", "in", "large/", "none")
    zips3 = ours(s3_server)
    for prefix, theirs in zip(
        prefixes, await original(*(download(bucket, prefix) for prefix in prefixes)), strict=True
    ):
        read = zips3.s3_download_in_memory(bucket.name, prefix)
        assert [[name, base64.b64encode(file.read()).decode()] for name, file in read] == theirs, prefix
        assert bool(read) == (prefix != "none")


async def test_archives_have_the_same_names_and_contents(
    original: Original, s3_server: EmbeddedS3, bucket: Bucket
) -> None:
    contents = {"c.txt": b"c", "d/": b"", "d/e.txt": b"e" * 10_000, "large": os.urandom(11 << 20)}
    await bucket.put_many({f"p/q/{name}": data for name, data in contents.items()})
    given = [("x/y.txt", b"y" * 1000), ("empty", b""), ("\u00fc", b"odd")]
    returned = await original(
        zipping(bucket, "p/q/d", "one"),
        zipping(bucket, "p/q/", "theirs.zip"),
        zipping(bucket, "p/q", "files", files=given),
        zipping(bucket, "none/", "nothing"),
    )
    assert returned == [None, None, None, {"raised": "FileNotFoundError"}]
    theirs = {key: await entries(bucket, key) for key in ("p/q/one.zip", "p/q/theirs.zip.zip", "p/files.zip")}
    for key in theirs:
        await bucket.delete(key)
    zips3 = ours(s3_server)
    zips3.zipping_in_s3(bucket.name, "p/q/d", "one")
    zips3.zipping_in_s3(bucket.name, "p/q", "files", files=in_memory(*given))
    assert {key: await entries(bucket, key) for key in ("p/q/one.zip", "p/files.zip")} == {
        key: theirs[key] for key in ("p/q/one.zip", "p/files.zip")
    }
    await bucket.delete("p/q/one.zip")
    zips3.zipping_in_s3(bucket.name, "p/q/", "theirs.zip")
    without_the_first = [entry for entry in theirs["p/q/theirs.zip.zip"] if entry[0] != "one.zip"]
    assert await entries(bucket, "p/q/theirs.zip.zip") == without_the_first == sorted(contents.items())


async def test_names_lose_the_prefix_in_front_alone(original: Original, s3_server: EmbeddedS3, bucket: Bucket) -> None:
    await bucket.put("a/data/a.txt", b"content")
    assert await original(download(bucket, "a/")) == [[["dt/.txt", "Y29udGVudA=="]]]
    assert [name for name, _ in ours(s3_server).s3_download_in_memory(bucket.name, "a/")] == ["data/a.txt"]


async def test_a_folder_marker_is_no_crash(original: Original, s3_server: EmbeddedS3, bucket: Bucket) -> None:
    await bucket.put_many({"m/": b"", "m/x": b"x"})
    named, zipped = await original(download(bucket, "m/"), zipping(bucket, "m/", "theirs"))
    assert named == [["", ""], ["x", "eA=="]]
    assert zipped == {"raised": "IndexError"}
    ours(s3_server).zipping_in_s3(bucket.name, "m/", "ours")
    assert await entries(bucket, "m/ours.zip") == [("x", b"x")]


async def test_the_archive_of_the_last_run_is_not_in_the_next(
    original: Original, s3_server: EmbeddedS3, bucket: Bucket
) -> None:
    await bucket.put("in/x", b"x")
    twice = zipping(bucket, "in/", "theirs")
    await original(twice, twice)
    assert [name for name, _ in await entries(bucket, "in/theirs.zip")] == ["theirs.zip", "x"]
    await bucket.delete("in/theirs.zip")
    made = [ours(s3_server).zipping_in_s3(bucket.name, "in/", "ours") for _ in range(2)]
    assert made[0].crc32 == made[1].crc32, "the same objects give the same archive"
    assert await entries(bucket, "in/ours.zip") == [("x", b"x")]


async def test_any_files_at_all(original: Original, s3_server: EmbeddedS3, bucket: Bucket) -> None:
    given = [("x", b"1"), ("x", b"2"), ("/etc/y", b"3"), ("../z", b"4")]
    lazily, asked, many = await original(
        zipping(bucket, "", "lazy", files=given, lazily=True),
        zipping(bucket, "", "given", files=given),
        zipping(bucket, "", "many", files=given, most_entries=3),
    )
    assert await entries(bucket, "lazy.zip") == []
    assert await entries(bucket, "given.zip") == given
    assert (lazily, asked, many) == (None, None, {"raised": "LargeZipFile"})
    ours(s3_server).zipping_in_s3(bucket.name, "", "ours", files=iter(in_memory(*given)))
    assert await entries(bucket, "ours.zip") == [("x", b"1"), ("x (2)", b"2"), ("etc/y", b"3"), ("_/z", b"4")]
