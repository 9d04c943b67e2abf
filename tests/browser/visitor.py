"""Somebody with a browser at the console of a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, expect

from bucketzip.state.users import Role
from bucketzip.web import keys
from tests.browser.chromium import WITHIN_MILLISECONDS
from tests.faults.lying_s3 import LyingS3
from tests.web.serving import Server

ANSWERED = "Failed to load resource"
"""What the browser writes of every answer that is an error, also of those that the page tells its user of."""

expect.set_options(timeout=WITHIN_MILLISECONDS)


class Visitor:
    """`page` is at the console; `key` and `secret` are a user's."""

    def __init__(self, page: Page, key: str, secret: str) -> None:
        self.page = page
        self.key = key
        self.secret = secret

    async def sign_in(self, secret: str | None = None) -> None:
        """Fill in the form and send it."""
        await self.page.get_by_label("User key").fill(self.key)
        await self.page.get_by_label("Secret").fill(secret or self.secret)
        await self.page.get_by_role("button", name="Sign in").click()

    async def arrive(self) -> None:
        """Sign in, and be at the buckets."""
        await self.sign_in()
        await self.at("Buckets")

    async def at(self, heading: str) -> None:
        """Wait for the view with this heading."""
        await expect(self.page.get_by_role("heading", name=heading, level=1, exact=True)).to_be_visible()

    async def open(self, name: str) -> None:
        """Follow a link, and be where it leads."""
        await self.page.get_by_role("link", name=name, exact=True).click()
        await self.at(name)

    async def choose(self, *names: str) -> None:
        """Tick the boxes of folders (with their slash) and objects."""
        for name in names:
            what = f"all of {name.removesuffix('/')}" if name.endswith("/") else name
            await self.page.get_by_role("checkbox", name=f"Choose {what}", exact=True).click()

    async def press(self, name: str) -> None:
        """Press the button on the page, once no dialog is above it."""
        await self.page.locator("body:not(:has(dialog[open]))").get_by_role("button", name=name, exact=True).click()

    async def answer(self, name: str) -> None:
        """Press the button in the dialog, once that is there."""
        await self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()

    def job(self, key: str) -> Locator:
        """The card of the archive there, among the archives."""
        return self.page.get_by_role("listitem").filter(has_text=f"s3://{LyingS3.bucket}/{key}")


@asynccontextmanager
async def visiting(browser: Browser, server: Server, role: Role = Role.ADMIN, **options: Any) -> AsyncIterator[Visitor]:
    """Open the server's address as a new user. At the end, nothing may have gone wrong in the page by itself."""
    user, secret = await server.app[keys.AUTHORITY].users.add(role)
    context = await browser.new_context(**options)
    context.set_default_timeout(WITHIN_MILLISECONDS)
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(ANSWERED):
            wrong.append(message.text)  # what the policy refused, too

    try:
        page = await context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(server.base)
        yield Visitor(page, user.user_key, secret)
        assert wrong == []
    finally:
        await context.close()
