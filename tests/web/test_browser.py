"""A download that broke goes on in a person's browser where it stopped."""

import hashlib
from itertools import pairwise
from pathlib import Path

import pytest

from tests.browser.chromium import chromium
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3
from tests.faults.proxy import Cut, Fault, FaultProxy
from tests.web.serving import Server

MIB = 1 << 20
SIZES = [100, 9 * MIB, 0, 3 * MIB, 20 * MIB]
CUT_AFTER_BYTES = 12 * MIB  # so three connections carry it all, if nothing goes over the line twice
HEADS_BYTES = 4096  # the heads of all answers together, which are cut and counted too
DONE = "offered('archive.zip')"  # on the page of downloads, a file's name becomes a link when all of it is there


@pytest.mark.parametrize(
    ("cut", "wait"),
    [
        pytest.param(Cut.FIN, DONE, id="by itself where an answer ended too early"),
        pytest.param(Cut.RESET, f"{DONE} || (offered('Resume')?.click(), false)", id="at a click after a reset"),
    ],
)
async def test_chromium_goes_on_where_it_broke(
    cut: Cut, wait: str, stub: LyingS3, stub_server: Server, tmp_path: Path
) -> None:
    for number, size in enumerate(SIZES):
        stub.objects.put(f"{number}", Synthetic(size, number))
    _, answer = await stub_server.ask("s3://stub/")
    url, etag, size = answer["url"], answer["etag"], answer["bytes"]
    port = int(stub_server.base.rpartition(":")[2])
    stub_server.answers.clear()

    async with (
        FaultProxy("127.0.0.1", port, choose=lambda _: Fault(CUT_AFTER_BYTES, cut)) as proxy,
        chromium(tmp_path) as browser,
    ):
        await browser.save_downloads_in(tmp_path)
        await browser.download(url.replace(f":{port}/", f":{proxy.port}/"))
        await (await browser.open("chrome://downloads")).until(wait)
        assert size < proxy.bytes_down < size + HEADS_BYTES, "each byte came once"

    assert [answer.status for answer in stub_server.answers] == [200, 206, 206]
    first, *resumed = [answer.headers for answer in stub_server.answers]
    assert "Range" not in first
    assert [headers["If-Range"] for headers in resumed] == [etag, etag]
    starts = [int(headers["Range"].removeprefix("bytes=").removesuffix("-")) for headers in resumed]
    assert all(0 < stop - start <= CUT_AFTER_BYTES for start, stop in pairwise([0, *starts, size]))
    saved = hashlib.sha256((tmp_path / "archive.zip").read_bytes())
    assert saved.digest() == hashlib.sha256(await stub_server.fetch(url)).digest()
