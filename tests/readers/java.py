"""Java's two ZIP readers, in one JVM that lives as long as the tests: starting one takes a second, asking it 10 ms."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.readers.tree import Refused, Tree, tool

SOURCE = Path(__file__).with_name("Reader.java")
# Small and quick to start: it does little, and shares two cores with the rest.
OPTIONS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m"]


class JavaReaders:
    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [tool("java"), *OPTIONS, str(SOURCE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()  # the end of its input ends it

    def file(self, path: Path) -> Tree:
        """Read as ZipFile does: by the central directory."""
        return self._ask(f"file {path.resolve()}")

    def stream(self, path: Path) -> Tree:
        """Read as ZipInputStream does: by the local headers, in order, without seeking."""
        return self._ask(f"stream {path.resolve()}")

    def _ask(self, request: str) -> Tree:
        requests, answers = _pipe(self._process.stdin), _pipe(self._process.stdout)
        print(request, file=requests, flush=True)
        entries: Tree = {}
        for line in answers:
            if line == "ok\n":
                return entries
            if line.startswith("failed: "):
                raise Refused(line.strip())
            name, digest = line.split()
            entries[bytes.fromhex(name).decode()] = digest
        raise RuntimeError("the JVM ended; is a JDK installed, with javac?")


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # asked for in __enter__
    return stream
