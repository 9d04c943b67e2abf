"""Uploads wired as app.py does it, and what they are made of."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bucketzip.archive.crc import crc32
from bucketzip.archive.manifest import Source
from bucketzip.jobs.ports import Destination, Done, Finished, Options, Upload
from bucketzip.s3.client import open_s3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.multipart import S3Multipart
from bucketzip.s3.probe import Prober
from bucketzip.s3.scratch import Place, Scratch
from bucketzip.state.database import open_database
from bucketzip.state.probes import Probes, ScratchUploads
from bucketzip.state.processes import join_processes

MIB = 1 << 20
LEAST = 5 * MIB
TOKEN = "the token of the job"
REPLACE = Options(if_exists="replace")


@asynccontextmanager
async def uploading(environment: Mapping[str, str], directory: Path, **place: str) -> AsyncIterator[S3Multipart]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        async with (
            CredentialKeeper().running() as keeper,
            open_s3(keeper, max_connections=16) as s3,
            open_database(directory) as database,
            join_processes(directory) as processes,
            Scratch(s3, ScratchUploads(database), processes, Place(**place)).running() as scratch,
        ):
            yield S3Multipart(s3, Prober(s3, scratch, Probes(database)))


def some_bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


async def put(multipart: S3Multipart, upload: Upload, number: int, body: bytes) -> tuple[int, Done]:
    return number, await multipart.put(upload, number, memoryview(body), crc32(body))


async def put_all(multipart: S3Multipart, upload: Upload, bodies: Sequence[bytes]) -> list[tuple[int, Done]]:
    return [await put(multipart, upload, number, body) for number, body in enumerate(bodies, 1)]


async def complete(
    multipart: S3Multipart,
    upload: Upload,
    parts: Sequence[tuple[int, Done]],
    content: bytes,
    options: Options = REPLACE,
    *,
    token: str = TOKEN,
) -> Finished:
    size = len(content)
    return await multipart.complete(upload, parts, crc=crc32(content), size=size, options=options, token=token)


async def written(
    multipart: S3Multipart, destination: Destination, content: bytes, options: Options = REPLACE
) -> Finished:
    """Upload all of it as one part."""
    upload = await multipart.create(destination, options, TOKEN)
    return await complete(multipart, upload, await put_all(multipart, upload, [content]), content, options)


def of(bucket: str, key: str, etag: str, version_id: str | None = None) -> Source:
    return Source(bucket, key, etag, version_id or "")
