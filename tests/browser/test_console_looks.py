"""How the console looks: to those who see it in the dark or on a phone, or do not see it."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.browser.visitor import visiting
from tests.faults import lies
from tests.faults.content import Synthetic
from tests.faults.lying_s3 import LyingS3, does, lists
from tests.jobs.archiving import Client, Moment, fill, sends
from tests.web.serving import Server, serving, stub_environment

pytestmark = pytest.mark.asyncio(loop_scope="session")

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
    await page.emulate_media(color_scheme="light")
    assert await found_by_axe(page) == []
    await page.emulate_media(color_scheme="dark")
    assert await found_by_axe(page, runOnly=["color-contrast"]) == []
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await page.evaluate(TOO_WIDE) == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.set_viewport_size(size)


async def found_by_axe(page: Page, **options: Any) -> list[tuple[str, Any]]:
    """What is serious or critical, each with where it is."""
    found = (await Axe().run(page, options=options)).response["violations"]
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
        await visitor.arrive()
        await visitor.page.context.clear_cookies()
        await visitor.page.get_by_role("link", name="stub", exact=True).click()
        await expect(visitor.page.get_by_role("heading", name="Your session has ended")).to_be_visible()
        await assert_fine(visitor.page)


async def test_browsing(browser: Browser, stub: LyingS3, trusting_server: Server) -> None:
    fill(stub, {"photos/1": 1, "photos/2": 2, LONG: 10})
    async with visiting(browser, trusting_server) as visitor:
        await expect(visitor.page.get_by_role("link", name="stub", exact=True)).to_be_visible()
        await assert_fine(visitor.page)
        await visitor.open("stub")
        await visitor.open("in")
        await visitor.choose("photos/", LONG)
        await visitor.open("photos")
        await visitor.choose("2")
        await visitor.page.get_by_role("link", name="in", exact=True).click()
        await visitor.at("in")
        await visitor.page.get_by_role("region", name="Chosen").get_by_text("2 objects, 11 bytes").click()
        await expect(visitor.page.get_by_text("without", exact=True)).to_be_visible()
        await assert_fine(visitor.page)


async def test_nothing(browser: Browser, stub: LyingS3, trusting_server: Server) -> None:
    async with visiting(browser, trusting_server) as visitor:
        await visitor.open("stub")
        await expect(visitor.page.get_by_role("heading", name="This folder is empty")).to_be_visible()
        await assert_fine(visitor.page)
        for section in ("Archives", "Links"):
            await visitor.open(section)
            await expect(visitor.page.get_by_role("heading", name=f"No {section.lower()} yet")).to_be_visible()
            await assert_fine(visitor.page)


async def test_what_the_role_may_not_do(browser: Browser, stub: LyingS3, trusting_server: Server) -> None:
    stub.on(does("ListBuckets"), lies.access_denied())
    stub.on(lists(), lies.access_denied())
    async with visiting(browser, trusting_server) as visitor:
        await expect(visitor.page.get_by_role("heading", name="No bucket to be seen")).to_be_visible()
        await assert_fine(visitor.page)
        await visitor.page.get_by_label("Open a bucket by its name").fill("stub")
        await visitor.press("Open")
        await visitor.at("stub")
        await expect(visitor.page.get_by_role("alert")).to_contain_text("Access denied")
        await assert_fine(visitor.page)


async def test_asking(browser: Browser, stub: LyingS3, trusting_server: Server) -> None:
    fill(stub, {LONG: 10})
    async with visiting(browser, trusting_server) as visitor:
        await visitor.open("stub")
        await visitor.choose("in/")
        await visitor.press("Archive to…")
        await visitor.page.get_by_label("Key").fill("folder/")
        await visitor.answer("Archive")
        await expect(visitor.page.get_by_role("alert")).to_contain_text("a destination is one object")
        await assert_fine(visitor.page)
        await visitor.answer("Cancel")
        await visitor.press("Download")
        await visitor.answer("Download")
        await expect(visitor.page.get_by_role("button", name="Done")).to_be_visible()
        await assert_fine(visitor.page)


async def test_planning(browser: Browser, stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(stub, {LONG: 10})
    environment = stub_environment(stub.endpoint_url)
    async with (
        serving(environment, tmp_path / "state", monkeypatch, planning_wait_seconds=0) as server,
        visiting(browser, server) as visitor,
    ):
        await visitor.open("stub")
        await visitor.choose("in/")
        await expect(visitor.page.get_by_role("region", name="Chosen")).to_contain_text("1 object, 10 bytes")
        Moment(stub, lists("in/"))
        await visitor.press("Download")
        await visitor.answer("Download")
        await expect(visitor.page.get_by_role("progressbar", name="Planning")).to_be_visible()
        await assert_fine(visitor.page)


async def test_links(browser: Browser, stub: LyingS3, trusting_server: Server) -> None:
    stub.objects.put("in/video.mp4", Synthetic(64 * MIB, 0))
    url = await trusting_server.link("s3://stub/in/", filename=f"{LONG}.zip")
    async with trusting_server.client.get(url), visiting(browser, trusting_server) as visitor:
        await visitor.open("Links")
        await expect(visitor.page.get_by_text("1 download now", exact=True)).to_be_visible()
        await assert_fine(visitor.page)
        await visitor.press(f"Revoke the link to {LONG}.zip")
        await assert_fine(visitor.page)
        await visitor.answer("Revoke the link")
        await expect(visitor.page.get_by_text("revoked", exact=True)).to_be_visible()
        await assert_fine(visitor.page)


async def test_archives(browser: Browser, stub: LyingS3, trusting_server: Server) -> None:
    fill(stub, {"video.mp4": 12 * MIB})
    client = Client(trusting_server.client, trusting_server.base)
    missing = ["s3://stub/in/", f"s3://stub/{LONG}"]
    await client.archived(*missing, destination="s3://stub/done.zip", on_missing="skip")
    await client.failed(*missing, destination="s3://stub/failed.zip")
    for key in ("cancelled.zip", "running.zip"):
        Moment(stub, sends(key), done=False)
        job = await client.begin(destination=f"s3://stub/{key}")
        await client.until(job, "running")
        if key == "cancelled.zip":
            await client.cancel(job)
            await client.until(job, "cancelled")
    async with visiting(browser, trusting_server) as visitor:
        await visitor.open("Archives")
        for state in ("succeeded", "failed", "cancelled", "running"):
            await expect(visitor.page.get_by_text(state, exact=True)).to_be_visible()
        await visitor.page.get_by_text("1 object left out").click()
        await visitor.page.get_by_text("Details", exact=True).click()
        await assert_fine(visitor.page)
        await visitor.press("Cancel running.zip")
        await assert_fine(visitor.page)
        await visitor.answer("Cancel the archive")
        await expect(visitor.job("running.zip").get_by_text("cancelled", exact=True)).to_be_visible()


async def test_the_server(browser: Browser, trusting_server: Server) -> None:
    async with visiting(browser, trusting_server) as visitor:
        await visitor.open("Server")
        await expect(visitor.page.get_by_text("Ready to serve")).to_be_visible()
        await assert_fine(visitor.page)


async def test_a_server_that_is_not_ready(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {name: value for name, value in stub_environment("http://127.0.0.1:9").items() if "KEY" not in name}
    async with (
        serving(environment, tmp_path / "state", monkeypatch) as server,
        visiting(browser, server) as visitor,
    ):
        await visitor.open("Server")
        await expect(visitor.page.get_by_role("alert")).to_contain_text("No credentials")
        await assert_fine(visitor.page)
