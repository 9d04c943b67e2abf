"""Debian's Chromium without a display, driven by Playwright: what a person's browser does with this server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.readers.tree import tool

WITHIN_MILLISECONDS = 60_000
"""For everything that is waited for: a slow machine, not a slow page."""


def _options() -> dict[str, Any]:
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # it calls nobody but this machine
    return {
        "executable_path": tool("chromium"),
        "args": [offline, "--disable-gpu", "--lang=en-US"],
        "timeout": WITHIN_MILLISECONDS,
    }


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start one; each of its contexts is as a browser of somebody else."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**_options())
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def chromium_with_profile(directory: Path) -> AsyncIterator[BrowserContext]:
    """Start one that keeps its profile there, and what it downloads too: such a one has a page of downloads."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            directory / "profile", downloads_path=directory, **_options()
        )
        browser.set_default_timeout(WITHIN_MILLISECONDS)
        try:
            yield browser
        finally:
            await browser.close()
