"""The commands as people run them, in processes of their own."""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

import aiohttp
import pytest

from bucketzip.cli import main
from tests.forked import Forked, ForkedWithPipes

COMMAND = str(Path(sys.executable).with_name("bucketzip"))


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    out: bytes
    said: str
    """On standard error."""


class Running:
    """A command under way, beside the test's loop: what it talks to may run in that."""

    def __init__(self, process: asyncio.subprocess.Process | ForkedWithPipes) -> None:
        self.process = process

    async def done(self) -> Done:
        out, said = await self.process.communicate()
        assert self.process.returncode is not None
        return Done(self.process.returncode, out or b"", (said or b"").decode())

    async def ended_by(self, number: signal.Signals) -> Done:
        self.process.send_signal(number)
        return await self.done()


@asynccontextmanager
async def begun(
    environment: Mapping[str, str], work: Path, *arguments: str, stdout: int = PIPE, stderr: int = PIPE
) -> AsyncIterator[Running]:
    """`bucketzip ARGUMENTS` in the directory `work`, where its state is too."""
    process = await ForkedWithPipes.started(
        arguments, work, _variables(environment, work), stdout=stdout, stderr=stderr
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        await process.communicate()
        process.close()


async def ran(
    environment: Mapping[str, str], work: Path, *arguments: str, stdout: int = PIPE, stderr: int = PIPE
) -> Done:
    """It, ended."""
    async with begun(environment, work, *arguments, stdout=stdout, stderr=stderr) as running:
        return await running.done()


async def installed(environment: Mapping[str, str], work: Path, *arguments: str, **more: Any) -> Done:
    """The same by the script that was installed; `more` is for the process."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        cwd=work,
        env=_variables(environment, work),
        stdin=subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        **more,
    )
    try:
        return await Running(process).done()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def _variables(environment: Mapping[str, str], work: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(work / "state"), "COLUMNS": "200", **environment}


class Serving:
    """`bucketzip serve` on a free port."""

    def __init__(self, process: Forked, log: Path) -> None:
        self.process = process
        self.work = log.parent
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def base(self) -> str:
        """Its address, once it listens."""
        until = time.monotonic() + 120
        while not (found := re.search(r"listening on (https?://127\.0\.0\.1:\d+)", self.log)):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.02)
        return found[1]

    async def ended(self, within_seconds: float) -> int:
        """Its exit status."""
        return await asyncio.to_thread(self.process.wait, within_seconds)

    async def link(self, *sources: str) -> str:
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{self.base}/downloads", json={"sources": sources}) as answer,
        ):
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["url"])


@contextmanager
def serving(s3: Mapping[str, str], work: Path, *options: str, **variables: str) -> Iterator[Serving]:
    """Run it in the directory `work`, on the S3 that the variables `s3` name. Nobody here needs a token by default."""
    log = work / "log"
    environment = {**os.environ, "BUCKETZIP_TRUSTED_CIDRS": "127.0.0.0/8", **s3, **variables}
    with log.open("wb") as file:
        process = Forked(
            ["serve", "--port", "0", *options], work, environment, stdout=file.fileno(), stderr=file.fileno()
        )
    try:
        yield Serving(process, log)
    finally:
        process.kill()
        process.wait()
        process.close()


@contextmanager
def logging_kept() -> Iterator[None]:
    """Leave the log as it is: a command that runs in this process sets it up for itself."""
    before = [(log, log.handlers[:], log.level) for log in map(logging.getLogger, (None, "bucketzip"))]
    try:
        yield
    finally:
        for log, handlers, level in before:
            log.handlers[:] = handlers
            log.setLevel(level)


class Called(NamedTuple):
    """A command that was run in this process."""

    status: int
    out: str
    said: str
    """On standard error."""


class Caller:
    """Runs commands in this process, which takes a tenth of the time of a process of its own."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> Called:
        self._capture.readouterr()
        with logging_kept(), pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert isinstance(ended.value.code, int)
        return Called(ended.value.code, *self._capture.readouterr())
