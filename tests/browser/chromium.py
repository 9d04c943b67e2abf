"""Debian's Chromium without a display: what a person's browser does with this server.

It is driven through pipes, so no port is opened, and it ends with the process that started it, whatever ends that.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.browser.devtools import ANSWERS_WITHIN_SECONDS, Devtools, Failed, Unanswered
from tests.readers.tree import tool

OPTIONS = [
    "--headless",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it calls nobody but this machine
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # a container's /dev/shm is too small for it
    "--disable-gpu",
    "--lang=en-US",
    "--no-first-run",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),  # as root it does not start with one
]
PIPES = 'exec "$0" "$@" 3<&0 4>&1 </dev/null >&2'  # DevTools are spoken on descriptors 3 and 4
MESSAGE_BYTES = 64 << 20
ENDS_WITHIN_SECONDS = 10.0
COMES_WITHIN_SECONDS = 60.0
LOST_AFTER_SECONDS = 3.0
BETWEEN_LOOKS_SECONDS = 0.05
OFFERED = """
    const within = (root) => [...root.querySelectorAll("*")].flatMap(
        (element) => [element, ...(element.shadowRoot ? within(element.shadowRoot) : [])]);
    const offered = (label) => within(document).find(
        (element) => element.matches("a, button, [role=button], [role=menuitem]")
            && !element.hidden && !element.disabled && element.textContent.trim() === label);
"""


class Page:
    """One tab. Its expressions are JavaScript, and `offered(label)` is the button or link that reads so, if any."""

    def __init__(self, devtools: Devtools, session: str) -> None:
        self._devtools = devtools
        self._session = session

    async def evaluate(self, expression: str, *, within_seconds: float = ANSWERS_WITHIN_SECONDS) -> Any:
        """The value of an expression, or of the promise it is, as JSON has it; raises Failed where it throws."""
        said = await self._devtools.call(
            "Runtime.evaluate",
            within_seconds,
            session=self._session,
            expression=f"(async () => {{ {OFFERED} return {expression}; }})()",
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in said:
            thrown = said["exceptionDetails"]["exception"]
            raise Failed(f"{expression}: {thrown.get('description', thrown)}")
        return said["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait for an expression to become true; the value it has then.

        Asked again and again from here: a question that meets a page as it goes away for another is never answered.
        """
        async with asyncio.timeout(COMES_WITHIN_SECONDS):
            while True:
                with contextlib.suppress(Unanswered):
                    if value := await self.evaluate(expression, within_seconds=LOST_AFTER_SECONDS):
                        return value
                await asyncio.sleep(BETWEEN_LOOKS_SECONDS)

    async def click(self, label: str) -> None:
        """Click the button or link that reads so, once there is one."""
        await self.until(f"((found) => found && (found.click(), true))(offered({json.dumps(label)}))")


class Chromium:
    """A running browser, from `chromium` below."""

    def __init__(self, devtools: Devtools) -> None:
        self._devtools = devtools

    async def open(self, url: str) -> Page:
        """A new tab with the page, loaded. Raises Failed."""
        session, said = await self._navigate(url)
        if "errorText" in said:
            raise Failed(f"{url}: {said['errorText']}")
        page = Page(self._devtools, session)
        await page.until("document.readyState === 'complete'")
        return page

    async def download(self, url: str) -> None:
        """Open what is not a page: the browser saves it, and closes the tab or not, as it likes. Raises Failed."""
        _, said = await self._navigate(url)
        if not said.get("isDownload"):
            raise Failed(f"{url}: {said.get('errorText', 'this is a page')}")

    async def _navigate(self, url: str) -> tuple[str, dict[str, Any]]:
        """The session of a new tab, and what the browser says of its way there."""
        target = await self._devtools.call("Target.createTarget", url="about:blank")
        attached = await self._devtools.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        session = str(attached["sessionId"])
        return session, await self._devtools.call("Page.navigate", session=session, url=url)

    async def save_downloads_in(self, directory: Path) -> None:
        """Save what is downloaded there, without asking."""
        await self._devtools.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(directory))


@asynccontextmanager
async def chromium(directory: Path) -> AsyncIterator[Chromium]:
    """Start a browser that keeps its profile and what it complains of in `directory`, which must be there."""
    log = directory / "chromium.log"
    with log.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(
            tool("sh"),
            "-c",
            PIPES,
            tool("chromium"),
            *OPTIONS,
            f"--user-data-dir={directory / 'profile'}",
            env={**os.environ, "HOME": str(directory)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            limit=MESSAGE_BYTES,
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with Devtools(process.stdout, process.stdin).running() as devtools:
            try:
                await devtools.call("Browser.getVersion")
            except Failed as failed:
                raise Failed(f"{failed}:\n{log.read_text(errors='replace')}") from failed
            yield Chromium(devtools)
    finally:
        process.stdin.close()  # the end of its input ends it
        try:
            await asyncio.wait_for(process.wait(), ENDS_WITHIN_SECONDS)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
