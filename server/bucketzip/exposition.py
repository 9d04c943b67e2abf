"""The metrics of all processes of a machine, told by any of them.

Each process keeps a Unix socket in the run directory that gives its own exposition to whoever connects and names a
format. They are put together as text, each sample with the label `process`, because adding numbers up is Prometheus'
work.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path

_log = logging.getLogger(__name__)

SUFFIX = ".metrics"
ANSWER_SECONDS = 2.0
"""A process that does not answer for so long is left out."""

_END = b"# EOF\n"


class Format(StrEnum):
    """What an exposition is written in."""

    TEXT = "text"
    """Prometheus' own."""
    OPENMETRICS = "openmetrics"
    """Its successor: with exemplars, which name a request or a job that was measured."""


Tell = Callable[[Format], Awaitable[bytes]]
"""Gives this process' own exposition."""


class Expositions:
    """This process' own and those of the others in the directory; without a directory, its own alone."""

    def __init__(self, tell: Tell, directory: Path | None, name: str) -> None:
        self._tell = tell
        self._directory = directory
        self._name = name

    async def text(self, form: Format) -> bytes:
        """All of them."""
        own = await self._tell(form)
        if self._directory is None:
            return own
        paths = await asyncio.to_thread(lambda directory: sorted(directory.glob(f"*{SUFFIX}")), self._directory)
        others = [path for path in paths if path.name != f"{self._name}{SUFFIX}"]
        told = dict(zip(others, await asyncio.gather(*(_read(path, form) for path in others)), strict=True))
        return together(
            {self._name: own} | {path.name.removesuffix(SUFFIX): text for path, text in told.items() if text}
        )

    @asynccontextmanager
    async def offered(self) -> AsyncIterator["Expositions"]:
        """Tell the other processes meanwhile. Raises OSError where the directory cannot be used."""
        if self._directory is None:
            yield self
            return
        await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
        path, draft = self._directory / f"{self._name}{SUFFIX}", self._directory / f".{self._name}"
        await asyncio.to_thread(draft.unlink, missing_ok=True)
        server = await asyncio.start_unix_server(self._answer, draft)
        await asyncio.to_thread(draft.rename, path)  # it never stands there without somebody who answers
        try:
            yield self
        finally:
            server.close()
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                form = Format((await reader.readline()).decode().strip())
            writer.write(await self._tell(form))
            async with asyncio.timeout(ANSWER_SECONDS):
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            writer.transport.abort()
        finally:
            writer.close()


async def _read(path: Path, form: Format) -> bytes:
    """What the process of this socket tells; nothing where it is gone or stuck."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(f"{form}\n".encode())
                return await reader.read()
            finally:
                writer.close()
    except (ConnectionRefusedError, FileNotFoundError):  # it was killed, or has just ended
        with suppress(FileNotFoundError):
            await asyncio.to_thread(path.unlink)
    except (OSError, TimeoutError):
        _log.warning("%s does not tell its metrics", path.name.removesuffix(SUFFIX))
    return b""


def together(expositions: Mapping[str, bytes]) -> bytes:
    """One exposition of several: what belongs to one metric stands together, as the format wants it."""
    metrics: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for process, text in expositions.items():
        for name, comments, samples in _metrics(text.splitlines(keepends=True)):
            known, all_samples = metrics.setdefault(name, ([], []))
            known[:] = known or comments
            all_samples += [_labelled(sample, process.encode()) for sample in samples]
    end = _END if any(text.endswith(_END) for text in expositions.values()) else b""
    return b"".join(b"".join(comments + samples) for comments, samples in metrics.values()) + end


def _metrics(lines: Iterable[bytes]) -> list[tuple[bytes, list[bytes], list[bytes]]]:
    """Name, comments and samples of each. A metric begins with its HELP."""
    found: list[tuple[bytes, list[bytes], list[bytes]]] = []
    for line in lines:
        if line == _END:
            continue
        if line.startswith(b"# HELP "):
            found.append((line.split(b" ", 3)[2], [], []))
        _, comments, samples = found[-1]
        (comments if line.startswith(b"#") else samples).append(line)
    return found


def _labelled(sample: bytes, process: bytes) -> bytes:
    """`a 1` and `a{b="c"} 1`, with one label more in front."""
    name, brace, rest = re.split(rb"([{ ])", sample, maxsplit=1)
    return b'%b{process="%b"%b' % (name, process, b"," + rest if brace == b"{" else b"} " + rest)
