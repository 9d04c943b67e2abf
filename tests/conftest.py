"""What every test starts from: an environment without AWS in it, and a real S3 server started once a run."""

import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

from bench.certificates import make_certificate
from bucketzip.embedded import EmbeddedS3
from tests.bucket import Bucket, new_bucket
from tests.faults.lying_s3 import LyingS3
from tests.readers.java import JavaReaders
from tests.readers.readers import ArchiveReaders
from tests.servers.localstack import running_localstack
from tests.servers.s3_server import S3Server
from tests.servers.shared import shared
from tests.servers.swift import running_swift


def pytest_collection_finish() -> None:
    """What is imported by now stays: looking for garbage in it, again and again, would take a tenth of the run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's credentials, settings or proxies decide what a test does."""
    for name in os.environ:
        if name.upper().startswith(("AWS_", "BUCKETZIP_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # a command would compile all of it at each start
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def no_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of botocore is up to 20 s."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)


@pytest.fixture
async def stub() -> AsyncIterator[LyingS3]:
    """An S3 that lies where a test says so, and has nothing in it."""
    async with LyingS3() as running:
        yield running


@pytest.fixture(scope="session")
def s3_server() -> Iterator[EmbeddedS3]:
    with EmbeddedS3() as server:
        yield server


@pytest.fixture(scope="session")
def tls_s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedS3]:
    """The same behind TLS, the only way to see what botocore does over https. Trust its `ca_file`."""
    certificate = make_certificate(tmp_path_factory.mktemp("tls") / "files")
    with EmbeddedS3(cert_file=certificate.chain, key_file=certificate.key, ca_file=certificate.authority) as server:
        yield server


@pytest.fixture(scope="session")
def of_the_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The directory of this run, whichever of its workers asks."""
    mine = tmp_path_factory.getbasetemp()
    return mine if worker_id == "master" else mine.parent


@pytest.fixture(scope="session")
def localstack(of_the_run: Path) -> Iterator[S3Server]:
    """LocalStack, where checksums and copies have to be as AWS has them. Starts in 3 s, when a test first asks."""
    with shared(of_the_run / "localstack", running_localstack) as server:
        yield server


@pytest.fixture(scope="session")
def swift(of_the_run: Path) -> Iterator[S3Server]:
    """Swift, where S3 must not be taken for AWS's: no checksums, no attributes, strict signatures. Starts in 3 s."""
    with shared(of_the_run / "swift", running_swift) as server:
        yield server


@pytest.fixture
async def bucket(s3_server: EmbeddedS3) -> AsyncIterator[Bucket]:
    async with new_bucket(s3_server) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def archive_readers() -> Iterator[ArchiveReaders]:
    """Other people's readers. None of them is optional: one that is missing fails the test."""
    with JavaReaders() as java:
        yield ArchiveReaders(java)
