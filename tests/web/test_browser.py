"""A download that broke goes on in a person's browser where it stopped."""

import asyncio
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import Error, Page

from tests.browser.chromium import chromium_with_profile
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3
from tests.faults.proxy import Cut, Fault, FaultProxy
from tests.web.serving import Server

MIB = 1 << 20
SIZES = [100, 9 * MIB, 0, 3 * MIB, 20 * MIB]
CUT_AFTER_BYTES = 12 * MIB  # so three connections carry it all, if nothing goes over the line twice
HEADS_BYTES = 4096  # the heads of all answers together, which are cut and counted too
RESUME = "#pause-or-resume"


@pytest.mark.parametrize(
    ("cut", "clicks"),
    [
        pytest.param(Cut.FIN, 0, id="by itself where an answer ended too early"),
        pytest.param(Cut.RESET, 2, id="at a click after a reset"),
    ],
)
async def test_chromium_goes_on_where_it_broke(
    cut: Cut, clicks: int, stub: LyingS3, stub_server: Server, tmp_path: Path
) -> None:
    for number, size in enumerate(SIZES):
        stub.objects.put(f"{number}", Synthetic(size, number))
    _, answer = await stub_server.ask("s3://stub/")
    url, etag, size = answer["url"], answer["etag"], answer["bytes"]
    port = int(stub_server.base.rpartition(":")[2])
    stub_server.answers.clear()

    async with (
        FaultProxy("127.0.0.1", port, choose=lambda _: Fault(CUT_AFTER_BYTES, cut)) as proxy,
        chromium_with_profile(tmp_path) as browser,
    ):
        with pytest.raises(Error, match="Download is starting"):  # it is no page
            await browser.pages[0].goto(url.replace(f":{port}/", f":{proxy.port}/"))
        downloads = await browser.new_page()
        await downloads.goto("chrome://downloads")
        for click in range(clicks):
            await resume(downloads, stub_server, connections=2 + click)
        saved = hashlib.sha256((await finished(tmp_path)).read_bytes())  # with the browser it goes
        assert size < proxy.bytes_down < size + HEADS_BYTES, "each byte came once"

    assert [answer.status for answer in stub_server.answers] == [200, 206, 206]
    first, *resumed = [answer.headers for answer in stub_server.answers]
    assert "Range" not in first
    assert [headers["If-Range"] for headers in resumed] == [etag, etag]
    starts = [int(headers["Range"].removeprefix("bytes=").removesuffix("-")) for headers in resumed]
    assert all(0 < stop - start <= CUT_AFTER_BYTES for start, stop in pairwise([0, *starts, size]))
    assert saved.digest() == hashlib.sha256(await stub_server.fetch(url)).digest()


async def resume(downloads: Page, server: Server, connections: int) -> None:
    """Click until the browser has come back."""
    button = downloads.locator(RESUME, has_text="Resume")
    while len(server.answers) < connections:
        # It is in a menu, which need not be open; and it goes as soon as the browser is on its way.
        await button.evaluate_all("found => found.forEach(each => each.click())")
        await asyncio.sleep(0.05)


async def finished(directory: Path) -> Path:
    """The file that the browser made, under a name of its own, once all of it is there."""
    while not (found := saved_in(directory)):
        await asyncio.sleep(0.05)
    return found[0]


def saved_in(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_file() and not path.suffix]
