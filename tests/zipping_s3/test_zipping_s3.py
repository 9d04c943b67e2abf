"""The class by itself: what it returns and refuses, where it may be called, and what it leaves behind."""

import asyncio
import inspect
import io
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import bucketzip
from bucketzip import ZippingS3
from bucketzip.embedded import EmbeddedS3
from bucketzip.errors import KeysRefused, NoCredentials, NoSuchBucket, SourceChanged
from bucketzip.extra_args import FIELDS
from bucketzip.zipping_s3 import Progress, Zipped
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, does, gets
from tests.test_zip_to_bucket import unanswered
from tests.web.serving import stub_environment

MIB = 1 << 20
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made, and nothing else is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def on_stub(stub: LyingS3) -> ZippingS3:
    zips3 = ZippingS3()
    zips3.credentials("stub", "the secret", endpoint=stub.endpoint_url, region="us-east-1")
    return zips3


@pytest.fixture
def on_server(s3_server: EmbeddedS3) -> ZippingS3:
    zips3 = ZippingS3()
    zips3.credentials(s3_server.access_key, s3_server.secret_key, endpoint=s3_server.endpoint_url)
    return zips3


def is_empty(directory: Path) -> bool:
    return not any(directory.iterdir())


def archive_at(stub: LyingS3, key: str) -> zipfile.ZipFile:
    made = stub.objects.find(key, None)
    assert made is not None
    return zipfile.ZipFile(io.BytesIO(made.content.read(0, made.content.size)))


async def test_it_tells_what_it_made(on_server: ZippingS3, bucket: Bucket, home: Path) -> None:
    await bucket.put_many({"in/large": os.urandom(11 * MIB), "in/small": b"small"})
    made = on_server.zipping_in_s3(
        bucket.name,
        "in/",
        "out",
        extra_args={
            "ContentType": "application/x-zip",
            "Metadata": {"Made-By": "me"},
            "StorageClass": "STANDARD_IA",
            "Tagging": "team=ops&kind=a%20zip",
            "ChecksumAlgorithm": "CRC32",
        },
    )
    head = await bucket.client.head_object(Bucket=bucket.name, Key="in/out.zip")
    assert (made.bucket, made.key, made.url) == (bucket.name, "in/out.zip", bucket.url("in/out.zip"))
    assert (made.bytes, made.etag) == (head["ContentLength"], head["ETag"].strip('"'))
    assert (made.entries, made.copied_bytes + made.built_bytes) == (2, made.bytes)
    assert made.copied_bytes > 5 * MIB
    assert head["Metadata"]["made-by"] == "me"
    assert (head["ContentType"], head["StorageClass"]) == ("application/x-zip", "STANDARD_IA")
    tags = await bucket.client.get_object_tagging(Bucket=bucket.name, Key="in/out.zip")
    assert {tag["Key"]: tag["Value"] for tag in tags["TagSet"]} == {"team": "ops", "kind": "a zip"}
    assert is_empty(home)


async def test_files_are_uploaded_and_nothing_is_read(stub: LyingS3, on_stub: ZippingS3) -> None:
    contents = {"a": Synthetic(20 * MIB).read(0, 20 * MIB), "folder/": b"", "folder/b": b"b" * 50_000, "c": b""}
    files = [(name, io.BytesIO(data)) for name, data in contents.items()]
    files[0][1].seek(7)  # how far it was read before does not matter
    made = await asyncio.to_thread(on_stub.zipping_in_s3, stub.bucket, "out/", "files", files)
    with archive_at(stub, "out/files.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == contents
        assert archive.namelist() == list(contents)
    assert (made.entries, made.copied_bytes, made.built_bytes) == (4, 0, made.bytes)
    asked = set(stub.counts)
    assert not asked & {"GetObject", "ListObjectsV2", "ListObjectVersions", "UploadPartCopy"}


@pytest.mark.parametrize("from_memory", [False, True])
async def test_it_compresses_if_asked_to(stub: LyingS3, on_stub: ZippingS3, *, from_memory: bool) -> None:
    text = b"all work and no play " * 100_000
    stub.objects.put("in/text", text)
    files = [("text", io.BytesIO(text))] if from_memory else None
    told: list[Progress] = []
    made = await asyncio.to_thread(
        on_stub.zipping_in_s3, stub.bucket, "in/", "out", files, compression="deflate", level=1, progress=told.append
    )
    assert made.bytes < len(text) / 10
    assert made.entries == 1
    assert told[-1] == Progress(told[-1].of_bytes or 0, told[-1].of_bytes, 1, 1)
    with archive_at(stub, "in/out.zip") as archive:
        assert archive.getinfo("text").compress_type == zipfile.ZIP_DEFLATED
        assert archive.read("text") == text


@pytest.mark.parametrize(
    "files", [[("a", b"bytes")], [["a", io.BytesIO()]], ["ab"], "ab", [1], [("a", io.BytesIO(), 1)]]
)
def test_what_is_no_file(files: Any) -> None:
    with pytest.raises(TypeError, match=r"files\[0\] is not a tuple of a str and an io.BytesIO"):
        ZippingS3().zipping_in_s3("bucket", "in/", "out", files)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"files": [("", io.BytesIO())]}, "a name has 1 to 4,096 bytes"),
        ({"bucket_name": "no/bucket"}, "'no/bucket' is not a bucket's name"),
        ({"prefix": "x" * 1025}, "a key has at most 1024 bytes"),
        (
            {"extra_args": {"Expires": 1, "ACL": "private", "BucketKeyEnabled": True}},
            "BucketKeyEnabled, Expires: not known",
        ),
        ({"compression": "brotli"}, "compression: Input should be 'store', 'deflate' or 'auto'"),
        ({"extra_args": {"ACL": "mine"}}, "extra_args: ACL: Input should be 'private'"),
        ({"extra_args": {"Metadata": "x"}}, "extra_args: Metadata: "),
        ({"extra_args": {"Tagging": "x"}}, "extra_args: Tagging: is written name=value"),
        ({"extra_args": {"Tagging": "a=1&a=2"}}, "extra_args: Tagging: the same name twice"),
        ({"extra_args": {"Tagging": {"a": 1}}}, "extra_args: Tagging: "),
        ({"extra_args": {"ChecksumAlgorithm": "SHA256"}}, "archives have CRC32, not 'SHA256'"),
        ({"extra_args": {"SSEKMSKeyId": "key"}}, "needs `sse` to be aws:kms"),
    ],
)
def test_what_cannot_be_is_refused_at_once(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ZippingS3().zipping_in_s3(**{"bucket_name": "bucket", "prefix": "in/", "zip_name": "out", **arguments})


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"ACCESS_KEY": "key"}, "are given together"),
        ({"SESSION_TOKEN": "the secret token"}, "only with them"),
        ({"url": "http://a", "endpoint": "http://b"}, "two names for one thing"),
        ({"endpoint": "localhost:9000"}, "an endpoint is a URL"),
    ],
)
def test_credentials_that_do_not_go_together(arguments: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        ZippingS3().credentials(**arguments)
    assert "secret" not in str(refused.value)


async def test_what_s3_refuses_has_a_name(stub: LyingS3, on_stub: ZippingS3, home: Path) -> None:
    stub.on(does("ListObjectsV2"), lies.refuse(404, "NoSuchBucket"), times=1)
    with pytest.raises(NoSuchBucket):
        await asyncio.to_thread(on_stub.s3_download_in_memory, stub.bucket, "in/")
    stub.on(does("ListObjectsV2"), lies.refuse(403, "InvalidAccessKeyId"), times=1)
    with pytest.raises(KeysRefused, match=r"the keys given to ZippingS3\.credentials") as refused:
        await asyncio.to_thread(on_stub.zipping_in_s3, stub.bucket, "in/", "out")
    assert "the secret" not in f"{refused.value!r} {on_stub!r}"
    with pytest.raises(FileNotFoundError, match="there is nothing to zip: there are no objects in s3://stub/in/"):
        await asyncio.to_thread(on_stub.zipping_in_s3, stub.bucket, "in/", "out")
    assert not stub.uploads_left
    assert is_empty(home)


async def test_an_object_that_changes_is_never_a_mixture(stub: LyingS3, on_stub: ZippingS3) -> None:
    stub.objects.put("in/a", b"before")
    stub.on(gets("in/a"), lies.refuse(412, "PreconditionFailed"))
    with pytest.raises(SourceChanged):
        await asyncio.to_thread(on_stub.s3_download_in_memory, stub.bucket, "in/")


async def test_the_usual_places_of_credentials(
    s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoCredentials):
        ZippingS3().s3_download_in_memory(bucket.name, "in/")
    await bucket.put("in/a", b"content")
    keys = f"aws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
    where = f"region = {s3_server.region}\nendpoint_url = {s3_server.endpoint_url}\n"
    (tmp_path / "config").write_text(f"[profile mine]\n{keys}{where}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert [(name, file.read()) for name, file in ZippingS3().s3_download_in_memory(bucket.name, "in/")] == [
        ("a", b"content")
    ]


async def test_it_may_be_called_anywhere_and_many_at_once(stub: LyingS3, on_stub: ZippingS3) -> None:
    stub.objects.put("in/a", b"content")

    def read() -> list[bytes]:
        return [file.read() for _, file in on_stub.s3_download_in_memory(stub.bucket, "in/")]

    async def read_in_a_loop() -> list[bytes]:
        return read()

    reads: list[Callable[[], list[bytes]]] = [read, read, lambda: asyncio.run(read_in_a_loop())]
    assert await asyncio.gather(*map(asyncio.to_thread, reads)) == [[b"content"]] * 3


async def test_progress_comes_to_the_whole(stub: LyingS3, on_stub: ZippingS3) -> None:
    stub.objects.put("in/a", Synthetic(12 * MIB, 1))
    stub.objects.put("in/b", b"content")
    told: list[Progress] = []
    made = await asyncio.to_thread(on_stub.zipping_in_s3, stub.bucket, "in/", "out", progress=told.append)
    assert [each.bytes for each in told] == sorted(each.bytes for each in told)
    assert told[-1] == Progress(made.bytes, made.bytes, 2, 2)
    told.clear()
    await asyncio.to_thread(on_stub.s3_download_in_memory, stub.bucket, "in/", progress=told.append)
    whole = 12 * MIB + len(b"content") + made.bytes  # the archive was put beside them
    assert told[-1] == Progress(whole, whole, 3, 3)


async def test_what_progress_raises_ends_it(stub: LyingS3, on_stub: ZippingS3, home: Path) -> None:
    stub.objects.put("in/a", Synthetic(12 * MIB, 1))

    def tell(progress: Progress) -> None:
        if progress.of_bytes is not None:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await asyncio.to_thread(on_stub.zipping_in_s3, stub.bucket, "in/", "out", progress=tell)
    assert stub.counts["CreateMultipartUpload"]
    assert not stub.uploads_left
    assert is_empty(home)


async def test_ctrl_c_leaves_nothing_behind(stub: LyingS3, tmp_path: Path) -> None:
    stub.objects.put("in/a", Synthetic(12 * MIB, 1))
    arrived = asyncio.Event()
    stub.on(does("UploadPart"), unanswered(arrived))
    script = """
import signal
from bucketzip import ZippingS3
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
ZippingS3().zipping_in_s3("stub", "in/", "out")
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        env={**os.environ, **stub_environment(stub.endpoint_url), "TMPDIR": str(tmp_path)},
        stderr=asyncio.subprocess.PIPE,
    )
    await arrived.wait()
    process.send_signal(signal.SIGINT)
    _, said = await process.communicate()
    assert process.returncode == -signal.SIGINT
    assert said.decode().rstrip().endswith("KeyboardInterrupt")
    assert not stub.uploads_left
    assert is_empty(tmp_path)


async def test_memory_does_not_grow_with_the_archive(stub: LyingS3) -> None:
    for number in range(4):
        stub.objects.put(f"in/{number}", Synthetic(64 * MIB, number))
    script = """
import os
from bench.meter import peak_memory_bytes
from bucketzip import ZippingS3
before = peak_memory_bytes(os.getpid())
made = ZippingS3().zipping_in_s3("stub", "in/", "out")
print(made.bytes, peak_memory_bytes(os.getpid()) - before)
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        env={**os.environ, **stub_environment(stub.endpoint_url), "BUCKETZIP_MEMORY_BYTES": str(16 * MIB)},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    made_bytes, grown_bytes = map(int, out.split())
    assert made_bytes > 4 * 64 * MIB
    assert grown_bytes < 96 * MIB


def test_all_of_it_is_documented() -> None:
    text = (ROOT / "docs/zipping-s3.md").read_text()
    for call in (ZippingS3.credentials, ZippingS3.s3_download_in_memory, ZippingS3.zipping_in_s3):
        arguments = ", ".join(
            _spelt(each) for each in inspect.signature(call).parameters.values() if each.name != "self"
        )
        assert f"`{call.__name__}({arguments}" in text.replace("*, ", "")
    for name in (*FIELDS, *Zipped._fields, "url"):
        assert f"`{name}`" in text
    assert f"Progress({', '.join(Progress._fields)})" in text


def _spelt(parameter: inspect.Parameter) -> str:
    return parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default}"


def test_the_package_is_imported_without_it() -> None:
    assert "ZippingS3" in bucketzip.__all__
    with pytest.raises(AttributeError, match="no attribute 'Zipping'"):
        cast(Any, bucketzip).Zipping()
    loaded = "import sys, bucketzip; print('bucketzip.zipping_s3' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], stdout=subprocess.PIPE, check=True).stdout == b"False\n"
