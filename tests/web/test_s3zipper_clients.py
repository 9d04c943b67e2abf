"""Clients of S3Zipper's calls, each as people wrote them for S3Zipper, against one real `bucketzip serve`."""

import asyncio
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.state.initial_user import InitialUser, read_initial_user
from tests.bucket import Bucket
from tests.command import Serving, serving

CLIENTS = Path(__file__).resolve().parent.parent / "s3zipper_clients"
APPLIANCE_ADDRESS = "127.0.0.2"
Run = Callable[[str, str], Awaitable[list[str]]]
PLAIN = ["docs/a.txt", "docs/deep/b c.txt", "other.txt"]


@pytest.fixture(scope="module")
def zipper(s3_server: EmbeddedS3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Only who has the appliance's address needs no token."""
    work, trusted = tmp_path_factory.mktemp("zipper"), {"BUCKETZIP_TRUSTED_CIDRS": f"{APPLIANCE_ADDRESS}/32"}
    with serving(s3_server.environment(), work, "--state-dir", str(work / "state"), **trusted) as running:
        yield running


@pytest.fixture(scope="module")
def user(zipper: Serving) -> InitialUser:
    """Key and secret of the first user, as soon as the server listens."""
    assert zipper.base
    initial = read_initial_user(zipper.work / "state")
    assert initial is not None
    return initial


@pytest.fixture
async def run(zipper: Serving, user: InitialUser, s3_server: EmbeddedS3, bucket: Bucket, tmp_path: Path) -> Run:
    """Run a client; returns the names in what it downloads."""
    await bucket.put_many({"docs/a.txt": b"a" * 3000, "docs/deep/b c.txt": b"b" * 6120, "other.txt": b"other"})

    async def run(program: str, name: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            program,
            str(CLIENTS / name),
            zipper.base,
            str(tmp_path / "out.zip"),
            env={
                "PATH": os.environ["PATH"],
                "USER_KEY": user.user_key,
                "USER_SECRET": user.user_secret,
                "ADDRESS": APPLIANCE_ADDRESS,
                "AWS_KEY": s3_server.access_key,
                "AWS_SECRET": s3_server.secret_key,
                "BUCKET": bucket.name,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode() + zipper.log
        return names_in((tmp_path / "out.zip").read_bytes())

    return run


def names_in(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return opened.namelist()


async def written(bucket: Bucket, key: str) -> bytes:
    answer = await bucket.client.get_object(Bucket=bucket.name, Key=key)
    async with answer["Body"] as body:
        return await body.read()


@pytest.mark.parametrize(
    ("program", "name"), [(sys.executable, "forms.py"), ("php", "arrays.php"), ("sh", "sorted.sh")]
)
async def test_version_1(program: str, name: str, run: Run, bucket: Bucket) -> None:
    assert await run(program, name) == PLAIN
    assert names_in(await written(bucket, f"out/{Path(name).stem}.zip")) == PLAIN


async def test_version_2(run: Run, bucket: Bucket) -> None:
    flat = {"paths": [{"key": f"{bucket.name}/{folder}", "name": ""} for folder in ("docs/", "docs/deep/")]}
    await bucket.put("maps/version2.json", json.dumps(flat).encode())
    names = ["b c.txt", "a.txt", "other.txt"]
    assert await run(sys.executable, "version2.py") == names
    assert names_in(await written(bucket, "out/version2.zip")) == names


async def test_appliance(run: Run, bucket: Bucket) -> None:
    assert await run("sh", "appliance.sh") == PLAIN
    assert names_in(await written(bucket, "out/appliance.zip")) == [f"{bucket.name}/{name}" for name in PLAIN]
