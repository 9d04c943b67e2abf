"""The announced length is the length sent, and that of the same archive from somebody else's writer."""

import asyncio
import io
import os
import struct
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.lying_s3 import LyingS3
from tests.readers.tree import tool
from tests.web.serving import Server

ENTRIES = 66_000
FULL_EACH = 200  # one in so many has content: the stub, not the server, would take half a minute to serve them all
NAMES = ["plain", "\u00fcber", "\u65e5\u672c", "\U0001f600"]
WRITTEN_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def beyond_16_bits() -> dict[str, bytes]:
    """Return keys with content, in the order of a listing."""
    return {
        f"{number // 1000:02}/{number:05} {NAMES[number % 4]}": b"" if number % FULL_EACH else b"%d" % number
        for number in range(ENTRIES)
    }


def by_zipfile(objects: dict[str, bytes]) -> tuple[bytes, int]:
    """Return the archive that Python's zipfile writes, and where its end records start."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in objects.items():
            info = zipfile.ZipInfo(name, WRITTEN_AT.timetuple()[:6])
            info.extra = struct.pack("<HHBl", 0x5455, 5, 1, int(WRITTEN_AT.timestamp()))
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    written = file.getvalue()
    return written, written.rindex(b"PK\x06\x06")


async def announced_length(server: Server, url: str) -> int | None:
    """What HEAD says; on a busy machine the plan takes longer than an answer may."""
    while True:
        async with server.client.head(url) as head:
            if head.status != 503:
                assert head.status == 200
                return head.content_length


@pytest.mark.timeout(600)  # it took two and a half minutes on two cores that forty others wanted, too
async def test_more_objects_than_a_directory_without_zip64_can_count(
    stub: LyingS3, stub_server: Server, tmp_path: Path
) -> None:
    objects = beyond_16_bits()
    for key, content in objects.items():
        stub.objects.put(key, content, etag='"same"', last_modified=WRITTEN_AT)
    _, answer = await stub_server.ask("s3://stub/")
    announced = await announced_length(stub_server, answer["url"])
    assert answer["bytes"] in {announced, None}, "none while it is planned"
    archive = await stub_server.fetch(answer["url"])
    assert len(archive) == announced

    written, end_at = by_zipfile(objects)
    assert len(archive) == len(written)
    assert archive[:end_at] == written[:end_at], "the Zip64 end record alone differs: it says by which program it is"

    path = tmp_path / "archive.zip"
    path.write_bytes(archive)
    unzip = await asyncio.create_subprocess_exec(
        tool("unzip"), "-Z1", path, env={**os.environ, "LC_ALL": "C.UTF-8"}, stdout=asyncio.subprocess.PIPE
    )
    listed, _ = await unzip.communicate()
    assert unzip.returncode == 0
    assert listed.decode().splitlines() == list(objects)
