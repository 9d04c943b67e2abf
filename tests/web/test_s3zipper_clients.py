"""Clients of S3Zipper's calls, each as people wrote them for S3Zipper, against one real `bucketzip serve`."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from bucketzip.embedded import EmbeddedS3
from bucketzip.state.initial_user import InitialUser, read_initial_user
from tests.bucket import Bucket
from tests.command import Serving, serving
from tests.readers.readers import unzipped
from tests.readers.tree import Tree

CLIENTS = Path(__file__).resolve().parent.parent / "s3zipper_clients"
APPLIANCE_ADDRESS = "127.0.0.2"
Run = Callable[[str, str], Awaitable[tuple[Tree, Tree]]]
CONTENTS = {"docs/a.txt": b"a" * 3000, "docs/deep/b c.txt": os.urandom(6120), "other.txt": b"other"}


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
    """Run a client; returns what unzip finds in the archive that it had written, and in the one that was streamed."""
    await bucket.put_many(CONTENTS)

    async def run(program: str, name: str) -> tuple[Tree, Tree]:
        process = await asyncio.create_subprocess_exec(
            program,
            str(CLIENTS / name),
            zipper.base,
            str(tmp_path),
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
        links, said = await process.communicate()
        assert process.returncode == 0, said.decode() + zipper.log
        written, streamed = links.decode().split()
        assert written.startswith(f"{zipper.base}/r/")
        assert streamed.startswith(f"{zipper.base}/d/")
        return unzipped(tmp_path / "written.zip"), unzipped(tmp_path / "streamed.zip")

    return run


def named(*names: str) -> Tree:
    """What an archive of all objects holds by these names."""
    contents = sorted(CONTENTS.items())
    return {name: hashlib.sha256(content).hexdigest() for name, (_, content) in zip(names, contents, strict=True)}


PLAIN = named(*sorted(CONTENTS))


@pytest.mark.parametrize(
    ("program", "name"), [(sys.executable, "forms.py"), ("php", "arrays.php"), ("sh", "sorted.sh")]
)
async def test_version_1(program: str, name: str, run: Run, bucket: Bucket) -> None:
    assert await run(program, name) == (PLAIN, PLAIN)
    assert await bucket.client.head_object(Bucket=bucket.name, Key=f"out/{Path(name).stem}.zip")


async def test_version_2(run: Run, bucket: Bucket) -> None:
    flat = {"paths": [{"key": f"{bucket.name}/{folder}", "name": ""} for folder in ("docs/", "docs/deep/")]}
    await bucket.put("maps/version2.json", json.dumps(flat).encode())
    names = named("a.txt", "b c.txt", "other.txt")
    assert await run(sys.executable, "version2.py") == (names, names)
    assert await bucket.client.head_object(Bucket=bucket.name, Key="out/version2.zip")


async def test_appliance(run: Run, bucket: Bucket) -> None:
    below_bucket = named(*(f"{bucket.name}/{name}" for name in sorted(CONTENTS)))
    assert await run("sh", "appliance.sh") == (below_bucket, PLAIN)
    assert await bucket.client.head_object(Bucket=bucket.name, Key="out/appliance.zip")
