"""A disk that may lose, when the power does, whatever was not synced: all of it, some of it, or the middle of it.

It stands for the kernel's calls that write to files. What they do is done at once, as a process sees it; the `crash`
leaves of each file what was synced, and of the rest, sector by sector, whatever chance has brought to the disk: zeros
where nothing came. Names are there at once; that is less than what a disk may do, and what is synced of folders is not
tried here.
"""

import os
import random
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECTOR_BYTES = 512
WRITES = ("pwrite", "ftruncate", "fsync", "fdatasync", "rename", "unlink")


class PowerLoss(BaseException):
    """Nothing happens any more."""


class Disk:
    """Beneath a folder."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._synced: dict[int, bytes] = {}
        """By inode."""
        self._left = 0

    @contextmanager
    def on_for(self, calls: int) -> Iterator[None]:
        """The power goes off instead of the call after so many."""
        self._left = calls
        with pytest.MonkeyPatch.context() as patch:
            for name in WRITES:
                patch.setattr(os, name, self._counted(name, getattr(os, name)))
            yield

    def crash(self, folder: Path) -> None:
        """Leave of its files what is on the disk."""
        for path in folder.iterdir():
            number = path.stat().st_ino
            path.write_bytes(self._survived(self._synced.get(number, b""), path.read_bytes()))
            self._synced[number] = path.read_bytes()

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            if not self._left:
                raise PowerLoss
            self._left -= 1
            if name == "unlink":
                self._synced.pop(Path(arguments[0]).stat().st_ino, None)  # the number may soon be another file's
            return self._sync(arguments[0]) if name in {"fsync", "fdatasync"} else call(*arguments)

        return counted

    def _sync(self, file: int) -> None:
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode):
            self._synced[status.st_ino] = os.pread(file, status.st_size, 0)

    def _survived(self, synced: bytes, seen: bytes) -> bytes:
        length = self._dice.choice([len(synced), len(seen)])
        left = bytearray(length)
        for start in range(0, length, SECTOR_BYTES):
            which = self._dice.choice([synced, seen])
            sector = which[start : min(start + SECTOR_BYTES, length)]
            left[start : start + len(sector)] = sector
        return bytes(left)
