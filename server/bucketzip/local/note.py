"""`a.zip.part.json`: of which archive `a.zip.part` is, and how much of that is safe on the disk.

It is lines of JSON. The first says of which archive; it has one length, so that a single write replaces it and no crash
leaves half of it. Of a stored archive it also says how many bytes are safe. Of a compressed one that stands in the
lines behind it, with the checkpoints (`archive/walked.py`) by which another walk goes on: one is added each time, and a
last one of which a crash has left only some is none. All of it blocks: for a thread.
"""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HEAD_BYTES = 256


class Made(NamedTuple):
    """Of which archive a file is: the same bytes follow from the same."""

    etag: str
    way: str = "store"
    """`deflate 6` compresses at that level, `auto 6` does what is worth it."""


class Noted(NamedTuple):
    """What a note says."""

    of: Made | None
    safe: int = 0
    """Bytes."""
    checkpoints: tuple[bytes, ...] = ()
    """Of a compressed one. All of them together are of where that ends."""
    end: int = _HEAD_BYTES
    """Of the note itself, in bytes."""


NOTHING = Noted(None)


class Note:
    """Open for reading and writing. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._of: Made | None = None
        self._end = 0

    def read(self, there: int) -> Noted:
        """What it says of a file of so many bytes."""
        with os.fdopen(os.dup(self._file), "rb") as lines:
            lines.seek(0)
            try:
                head = json.loads(lines.readline())
                noted = Noted(Made(head["etag"], head.get("way", "store")), min(int(head["bytes"]), there))
            except (ValueError, KeyError, TypeError, AttributeError):
                return NOTHING
            checkpoints = []
            for safe, checkpoint, length in _behind_head(lines):
                if safe > there:
                    break
                checkpoints.append(checkpoint)
                noted = noted._replace(safe=safe, end=noted.end + length)
            return noted._replace(checkpoints=tuple(checkpoints))

    def begin(self, noted: Noted) -> None:
        """Have it say this and no more, durably: only then may the file become another one."""
        assert noted.of is not None
        self._of, self._end = noted.of, noted.end
        self._write_head(0 if noted.checkpoints else noted.safe)
        os.ftruncate(self._file, self._end)
        os.fsync(self._file)

    def keep(self, safe: int, checkpoint: bytes) -> None:
        """So many bytes are safe now; of a compressed archive, with the checkpoint of there."""
        if not checkpoint:
            self._write_head(safe)
            return
        line = json.dumps({"bytes": safe, "checkpoint": base64.b64encode(checkpoint).decode()}).encode() + b"\n"
        self._write(line, self._end)
        self._end += len(line)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)

    def _write_head(self, safe: int) -> None:
        assert self._of is not None
        head = json.dumps({**self._of._asdict(), "bytes": safe}).ljust(_HEAD_BYTES - 1) + "\n"
        assert len(head) == _HEAD_BYTES
        self._write(head.encode(), 0)

    def _write(self, data: bytes, at: int) -> None:
        while data:
            count = os.pwrite(self._file, data, at)
            at += count
            data = data[count:]


def _behind_head(lines: Iterator[bytes]) -> Iterator[tuple[int, bytes, int]]:
    """How much is safe, the checkpoint and the length of each line that is whole."""
    for line in lines:
        try:
            told = json.loads(line)
            safe, checkpoint = int(told["bytes"]), base64.b64decode(told["checkpoint"], validate=True)
        except (ValueError, KeyError, TypeError):
            return
        if not line.endswith(b"\n"):
            return
        yield safe, checkpoint, len(line)
