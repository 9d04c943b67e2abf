"""How the console looks: to those who see it in the dark or on a phone, or do not see it."""

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.browser.visitor import visiting
from tests.faults.lying_s3 import LyingS3
from tests.jobs.archiving import Moment, fill, sends
from tests.web.serving import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("browser")]

MIB = 1 << 20
LONG = "a name that is as long as names of cameras are_DSC_40021_final (2).jpg"
TOO_WIDE = """
    [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth)
        .map((each) => each.outerHTML.slice(0, 200))
"""


async def assert_fine(page: Page) -> None:
    """By axe's judgement in the light and in the dark, and not wider than a phone."""
    size = page.viewport_size
    assert size is not None
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert await found_by_axe(page) == [], scheme
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await page.evaluate(TOO_WIDE) == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.set_viewport_size(size)


async def found_by_axe(page: Page) -> list[tuple[str, Any]]:
    """What is serious or critical, each with where it is."""
    found = (await Axe().run(page)).response["violations"]
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


async def test_signing_in(browser: Browser, stub_server: Server) -> None:
    async with visiting(browser, stub_server) as visitor:
        await visitor.sign_in("a wrong secret")
        await expect(visitor.page.get_by_role("alert")).to_be_visible()
        await assert_fine(visitor.page)


async def test_browsing(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    fill(stub, {"photos/1": 1, LONG: 10})
    async with visiting(browser, stub_server) as visitor:
        await visitor.arrive()
        await visitor.open("stub")
        await visitor.open("in")
        await visitor.choose("photos/", LONG)
        await visitor.page.get_by_role("region", name="Chosen").get_by_text("2 objects, 11 bytes").click()
        await assert_fine(visitor.page)


async def test_asking(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    fill(stub, {LONG: 10})
    async with visiting(browser, stub_server) as visitor:
        await visitor.arrive()
        await visitor.open("stub")
        await visitor.choose("in/")
        await visitor.press("Archive to…")
        await assert_fine(visitor.page)
        await visitor.answer("Cancel")
        await visitor.press("Download")
        await visitor.answer("Download")
        await expect(visitor.page.get_by_text("is on its way")).to_be_visible()
        await assert_fine(visitor.page)
        await visitor.answer("Done")
        await visitor.open("Links")
        await expect(visitor.page.get_by_text("ready", exact=True)).to_be_visible()
        await assert_fine(visitor.page)


async def test_archives(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    fill(stub, {"video.mp4": 12 * MIB})
    Moment(stub, sends("running.zip"), done=False)
    async with visiting(browser, stub_server) as visitor:
        page = visitor.page
        await visitor.arrive()
        await visitor.open("Archives")
        await expect(page.get_by_text("No archives yet")).to_be_visible()
        await page.get_by_role("link", name="Browse", exact=True).click()
        await visitor.open("stub")
        await visitor.choose("in/")
        for key, state in (("done.zip", "succeeded"), ("running.zip", "running")):
            await page.get_by_role("link", name="Browse", exact=True).click()
            await visitor.press("Archive to…")
            await page.get_by_label("Key").fill(key)
            await visitor.answer("Archive")
            await visitor.at("Archives")
            await expect(visitor.job(key).get_by_text(state, exact=True)).to_be_visible()
        await page.get_by_text("Details", exact=True).click()
        await assert_fine(page)
        await visitor.press("Cancel running.zip")
        await visitor.answer("Cancel the archive")
        await expect(visitor.job("running.zip").get_by_text("cancelled", exact=True)).to_be_visible()


async def test_the_server(browser: Browser, stub_server: Server) -> None:
    async with visiting(browser, stub_server) as visitor:
        await visitor.arrive()
        await visitor.open("Server")
        await expect(visitor.page.get_by_text("Ready to serve")).to_be_visible()
        await assert_fine(visitor.page)
