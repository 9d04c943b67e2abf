"""Names inside the archive: safe to extract anywhere, unique, and the same for the same keys in the same order.

Rules, in the order they are applied:

1.  A part of a path that is empty or `.` is dropped (so no name is absolute); `..` becomes `_`.
2.  Backslashes and control characters become `_`, and so does the colon of a drive (`C:`) in front.
3.  A part longer than file systems take (255 bytes) is cut to `PART_BYTES`, keeping its extension.
4.  A name that is taken gets ` (2)`, ` (3)` ... before its extension; a folder that meets a file of its name does too.
"""

import re
from posixpath import splitext

PART_BYTES = 240
"""File systems take 255 bytes; the rest is room for ` (2)`."""

_EXTENSION_BYTES = 32

# Most keys match none of this and are taken as they are; so short, they cannot have a part that is too long.
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\\]|/(?:/|$|\.{1,2}(?:/|$))|^(?:/|\.{1,2}(?:/|$)|[A-Za-z]:|$)")
_SHORT = PART_BYTES // 4  # characters, of four bytes at most
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
_DRIVE = re.compile(r"^([A-Za-z]):")


def safe(path: str) -> str:
    """The path by rules 1 to 3: relative, `/` between its parts, never empty."""
    if not _ODD.search(path) and (len(path) <= _SHORT or max(map(len, path.split("/"))) <= _SHORT):
        return path
    parts = [_safe_part(part) for part in path.split("/") if part not in {"", "."}]
    if not parts:
        return "_"
    parts[0] = _DRIVE.sub(r"\1_", parts[0])
    return "/".join(parts)


def _safe_part(part: str) -> str:
    part = "_" if part == ".." else _UNSAFE.sub("_", part)
    if len(part.encode()) <= PART_BYTES:
        return part
    stem, extension = splitext(part)
    if len(extension.encode()) > _EXTENSION_BYTES:
        stem, extension = part, ""
    return stem.encode()[: PART_BYTES - len(extension.encode())].decode(errors="ignore") + extension


class Names:
    """The names given so far in one archive. Folders are named once and shared by all that lies in them."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._folders: dict[str, str] = {"": ""}
        self._folder_entries: set[str] = set()
        self._next_number: dict[str, int] = {}

    def file(self, path: str) -> str:
        """A name of its own for the file that wants to be called `path`."""
        folder, _, name = safe(path).rpartition("/")
        return self._claim(self._folder(folder), name)

    def folder(self, path: str) -> str | None:
        """The name of the folder entry for `path`, with its final slash; None where the archive has that entry."""
        name = self._folder(safe(path)) + "/"
        if name in self._folder_entries:
            return None
        self._folder_entries.add(name)
        return name

    def _folder(self, path: str) -> str:
        new = []
        while path not in self._folders:  # not by recursion: a path may have more parts than Python has frames
            new.append(path)
            path = path.rpartition("/")[0]
        known = self._folders[path]
        for deeper in reversed(new):
            known = self._folders[deeper] = self._claim(known, deeper.rpartition("/")[2])
        return known

    def _claim(self, folder: str, part: str) -> str:
        name = f"{folder}/{part}" if folder else part
        if name not in self._taken:
            self._taken.add(name)
            return name
        stem, extension = splitext(name)
        number = self._next_number.get(name, 2)
        while (candidate := f"{stem} ({number}){extension}") in self._taken:
            number += 1
        self._next_number[name] = number + 1
        self._taken.add(candidate)
        return candidate
