"""The server as people run it: the real command, in a process of its own."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp

COMMAND = str(Path(sys.executable).with_name("bucketzip"))


class Serving:
    """`bucketzip serve` on a free port."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def base(self) -> str:
        """Its address, once it listens."""
        until = time.monotonic() + 20
        while not (found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", self.log)):
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
    """Run it in the directory `work`, on the S3 that the variables `s3` name."""
    log = work / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", *options],
            cwd=work,
            env={**os.environ, **s3, **variables},
            stdout=file,
            stderr=file,
        )
    try:
        yield Serving(process, log)
    finally:
        process.kill()
        process.wait()
