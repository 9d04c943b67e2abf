"""The console as people use it: what they see, and what becomes of what they ask for."""

import asyncio
import io
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.visitor import visiting
from tests.bucket import Bucket
from tests.faults import lies
from tests.faults.lying_s3 import LyingS3, Predicate, does, lists
from tests.jobs.archiving import KEY, Moment, assert_nothing_left, fill, sends, stored
from tests.readers.tree import tool
from tests.web.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1 << 20
MANY = 10_000
PAGE = 1000
SEEN = 4000
SHIFTED = 300
SHIFTED_NAMED = 200
LAID_OUT = """
    most => [...document.querySelectorAll("tbody tr")]
        .filter(row => row.checkVisibility({contentVisibilityAuto: true})).length <= most
"""


async def listed_by_unzip(archive: Path) -> set[str]:
    """The names in an archive that unzip finds to be whole."""

    async def unzip(options: str) -> str:
        running = await asyncio.create_subprocess_exec(tool("unzip"), options, archive, stdout=asyncio.subprocess.PIPE)
        out, _ = await running.communicate()
        assert running.returncode == 0
        return out.decode()

    await unzip("-tqq")
    return set((await unzip("-Z1")).splitlines())


async def test_who_signs_in_stays_so_until_signing_out(browser: Browser, stub_server: Server) -> None:
    async with visiting(browser, stub_server) as visitor:
        page = visitor.page
        await visitor.sign_in("a wrong secret")
        await expect(page.get_by_role("alert")).to_contain_text("No user has this key and this secret")
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await visitor.arrive()
        assert page.url == f"{stub_server.base}/console"
        await page.reload()
        await visitor.at("Buckets")
        await visitor.press("Sign out")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_a_trusted_network_comes_in_without(browser: Browser, stub: LyingS3, trusting_server: Server) -> None:
    fill(stub, {"a": 10})
    async with visiting(browser, trusting_server) as visitor:
        await visitor.at("Buckets")
        await expect(visitor.page.get_by_text("Trusted network")).to_be_visible()
        await expect(visitor.page.get_by_role("button", name="Sign out")).to_have_count(0)
        await visitor.page.goto(
            f"{trusting_server.base}/console#/s3/stub"
        )  # as people type it, without a slash at its end
        await visitor.open("in")


async def test_what_is_chosen_is_downloaded(browser: Browser, server: Server, bucket: Bucket, tmp_path: Path) -> None:
    paths = ["a/1.txt", "a/b/2.txt", "a/b/[3].txt", "a/c/4.txt", "a/c/d/5.txt", "6.txt", "7.txt", "8*"]
    wanted = {"a/1.txt", "a/b/2.txt", "a/c/d/5.txt", "6.txt", "8*"}
    await bucket.put_many({path: path.encode() for path in paths})
    async with visiting(browser, server, accept_downloads=True) as visitor:
        page = visitor.page
        await visitor.arrive()
        await visitor.open(bucket.name)
        await visitor.choose("a/", "6.txt", "8*")
        await visitor.open("a")
        await visitor.choose("c/")  # which was chosen with `a`
        await visitor.open("c")
        await visitor.choose("d/")
        await page.get_by_role("link", name="a", exact=True).click()
        await visitor.open("b")
        await visitor.choose("[3].txt")
        await expect(page.get_by_role("region", name="Chosen")).to_contain_text(
            f"5 objects, {sum(map(len, wanted))} bytes"
        )
        await visitor.press("Download")
        await expect(page.get_by_label("File name")).to_have_value(f"{bucket.name}.zip")
        await page.get_by_label("File name").fill("chosen.zip")
        async with page.expect_download() as begun:
            await visitor.answer("Download")
        download = await begun.value
        assert download.suggested_filename == "chosen.zip"
        await download.save_as(tmp_path / "chosen.zip")
        assert await listed_by_unzip(tmp_path / "chosen.zip") == wanted

        url = await page.get_by_role("dialog").get_by_label("Link", exact=True).input_value()
        copy = page.get_by_role("button", name="Copy the link to chosen.zip")
        await copy.click()
        await expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("The link is copied")
        await expect(copy).to_be_focused()
        await visitor.answer("Done")
        await page.get_by_role("searchbox").press("Control+V")
        await expect(page.get_by_role("searchbox")).to_have_value(url)
        await visitor.press("Clear")
        await expect(page.get_by_role("heading", name="b", exact=True)).to_be_focused()
        await visitor.open("Links")
        await expect(page.get_by_role("listitem")).to_contain_text(["5 entries"])
        await visitor.press("Revoke the link to chosen.zip")
        await visitor.answer("Revoke the link")
        await expect(page.get_by_role("listitem").get_by_text("revoked", exact=True)).to_be_visible()
        await expect(page.get_by_role("listitem")).to_be_focused()
        assert (await server.error(url))[0] == 410


async def test_an_archive_is_watched_to_its_end(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    contents = fill(stub, {"video.mp4": 12 * MIB, "note.txt": 100})
    fill(stub, {"gone.txt": 1}, prefix="")
    completing = Held(stub, does("CompleteMultipartUpload"))
    async with visiting(browser, stub_server) as visitor:
        page = visitor.page
        await visitor.arrive()
        await visitor.open("stub")
        await visitor.choose("in/", "gone.txt")
        stub.objects.delete("gone.txt")
        await visitor.press("Archive to…")
        await expect(page.get_by_label("Bucket", exact=True)).to_have_value("stub")
        await page.get_by_label("Key").fill(KEY)
        await page.get_by_label("Leave it out").check()
        await visitor.answer("Archive")
        await visitor.at("Archives")
        job = visitor.job(KEY)
        await expect(job).to_contain_text("100 %")
        await expect(job.get_by_role("progressbar")).to_have_attribute("value", "100")
        await page.route("**/archives?*", lambda _: None)  # from here on only its events tell of it
        completing.let_go()
        await expect(job).to_contain_text("succeeded")
        await expect(job).to_contain_text("copied inside S3")
        archive = stored(stub)
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            assert {*opened.namelist()} == {"MISSING.txt", *(f"in/{name}" for name in contents)}
        await job.get_by_text("1 object left out").click()
        await expect(job).to_contain_text("s3://stub/gone.txt")
        link = await job.get_by_role("link", name="Download a.zip").get_attribute("href")
        async with stub_server.client.get(f"{stub_server.base}/{link}") as answer:
            assert await answer.read() == archive


async def test_an_archive_is_cancelled(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    fill(stub, {"video.mp4": 12 * MIB})
    sending = Moment(stub, sends(), done=False)
    async with visiting(browser, stub_server) as visitor:
        page = visitor.page
        await visitor.arrive()
        await visitor.open("stub")
        await visitor.choose("in/")
        await visitor.press("Archive to…")
        await page.get_by_label("Key").fill(KEY)
        await visitor.answer("Archive")
        await visitor.at("Archives")
        await sending.come()
        await visitor.press("Cancel a.zip")
        await visitor.answer("Leave it")
        await expect(visitor.job(KEY).get_by_text("running", exact=True)).to_be_visible()
        async with page.expect_response("**/archives?*"):
            pass
        await expect(page.get_by_role("button", name="Cancel a.zip")).to_be_focused()
        await visitor.press("Cancel a.zip")
        await visitor.answer("Cancel the archive")
        await expect(visitor.job(KEY).get_by_text("cancelled", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="Cancel a.zip")).to_have_count(0)
        await expect(visitor.job(KEY)).to_be_focused()
    assert_nothing_left(stub)


async def test_a_session_that_ends_takes_nothing_along(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    fill(stub, {"a": 10, "b": 20})
    async with visiting(browser, stub_server) as visitor:
        page = visitor.page
        await visitor.arrive()
        await visitor.open("stub")
        await visitor.open("in")
        await visitor.choose("a")
        await page.context.clear_cookies()
        await visitor.press("Download")
        async with page.expect_download() as begun:
            await visitor.answer("Download")
            await expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
            await visitor.sign_in()
        assert (await begun.value).suggested_filename == "a.zip"
        await visitor.answer("Done")
        await expect(page.get_by_role("checkbox", name="Choose a", exact=True)).to_be_checked()
        await expect(page.get_by_role("region", name="Chosen")).to_contain_text("1 object, 10 bytes")


async def test_a_folder_of_ten_thousand(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    for number in range(MANY):
        stub.objects.put(f"logs/{number:05}", b"1")
    async with visiting(browser, stub_server) as visitor:
        page = visitor.page
        await visitor.arrive()
        await visitor.open("stub")
        await visitor.open("logs")
        end = page.locator(".shown")
        for shown in range(PAGE, SEEN, PAGE):
            await expect(end).to_have_text(f"{shown:,} items, and there are more")
            await page.locator("button.more").scroll_into_view_if_needed()
        await expect(end).to_have_text(f"{SEEN:,} items, and there are more")
        await expect(page.locator("tbody tr")).to_have_count(SEEN)
        await page.wait_for_function(LAID_OUT, arg=2 * PAGE)  # the others, when they come into sight
        await visitor.choose("00000")
        await page.get_by_role("checkbox", name=f"Choose {SHIFTED - 1:05}", exact=True).click(modifiers=["Shift"])
        chosen = page.get_by_role("region", name="Chosen")
        await chosen.get_by_text(f"{SHIFTED} objects, {SHIFTED} bytes").click()
        await expect(chosen.get_by_role("listitem")).to_have_count(SHIFTED_NAMED + 1)
        await expect(chosen.get_by_role("listitem").last).to_have_text(f"and {SHIFTED - SHIFTED_NAMED} more")
        await page.get_by_role("checkbox", name="Choose all of this folder").click()
        await visitor.choose("03999")
        await expect(chosen).to_contain_text(f"{MANY - 1:,} objects")

        await page.get_by_role("searchbox").fill("0432")
        await expect(end).to_have_text("10 items")
        await expect(page.get_by_role("checkbox", checked=True)).to_have_count(10)


async def test_what_goes_wrong_is_told(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    fill(stub, {"a": 10})
    async with visiting(browser, stub_server) as visitor:
        page = visitor.page
        await visitor.arrive()
        stub.on(lists(), lies.access_denied())
        await page.get_by_role("link", name="stub", exact=True).click()
        told = page.get_by_role("alert")
        await expect(told).to_contain_text("Access denied")
        await expect(told).to_contain_text("Request ")
        stub.stop_lying()
        await visitor.press("Try again")
        await visitor.choose("in/")
        await visitor.press("Archive to…")
        await page.get_by_label("Key").fill("folder/")
        await visitor.answer("Archive")
        await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("a destination is one object")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name="Archive to…")).to_be_focused()


async def test_it_is_used_without_a_mouse(browser: Browser, stub: LyingS3, stub_server: Server) -> None:
    fill(stub, {"a": 10, "b": 20})
    async with visiting(browser, stub_server) as visitor:
        page = visitor.page
        await expect(page.get_by_label("User key")).to_be_focused()
        for text in (visitor.key, "Tab", visitor.secret, "Enter"):
            await (page.keyboard.press(text) if text in {"Tab", "Enter"} else page.keyboard.type(text))
        await expect(page.get_by_role("link", name="stub")).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        for _ in range(2):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await visitor.at("stub")
        await expect(page.get_by_role("heading", name="stub")).to_be_focused()
        await page.get_by_role("checkbox", name="Choose all of in", exact=True).press("Space")
        await expect(page.get_by_role("region", name="Chosen")).to_contain_text("2 objects, 30 bytes")
        await expect(page.get_by_role("status")).to_contain_text("2 objects, 30 bytes chosen")


async def test_many_links(browser: Browser, stub: LyingS3, trusting_server: Server) -> None:
    fill(stub, {"a": 10})
    for number in range(25):
        await trusting_server.link("s3://stub/in/", filename=f"{number}.zip")
    async with visiting(browser, trusting_server) as visitor:
        links = visitor.page.get_by_role("listitem")
        await visitor.open("Links")
        await expect(links).to_have_count(20)
        await visitor.press("Show more")
        await expect(links).to_have_count(25)
        await expect(links.nth(20)).to_be_focused()
        await trusting_server.link("s3://stub/in/", filename="25.zip")
        await expect(links.first).to_contain_text("25.zip")
        names = [f"{number}.zip" for number in reversed(range(26))]
        await expect(links.get_by_role("heading")).to_have_text(names)
        await expect(visitor.page.get_by_role("button", name="Show more")).to_be_hidden()


class Held:
    """What S3 puts off, until it is let go."""

    def __init__(self, stub: LyingS3, applies: Predicate) -> None:
        self._is_held = True
        stub.on(lambda asked: self._is_held and applies(asked), lies.slow_down())

    def let_go(self) -> None:
        self._is_held = False
