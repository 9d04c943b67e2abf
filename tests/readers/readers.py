"""Every archive has to open in all of these: Python, Info-ZIP, 7-Zip, libarchive and both of Java's readers.

They disagree about what a ZIP may be, so an archive that all of them read without a word is a sound one. Three of them
do not extract every name as it is written; how, was found by trying, and stands in `SPELLING`. Names that lead outside
("/x", "..", a drive) or say nothing ("//", ".") are not for here: each tool mends them in its own way.
"""

import hashlib
import os
import subprocess
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.readers.java import JavaReaders
from tests.readers.tree import Refused, Tree, digest_of, extracted, tool, without_parents

CONTROL = dict.fromkeys([*range(32), 127])


def _by_libarchive(name: str) -> str:
    """Composed; and with a backslash for a separator where there is no other, as old Windows programs wrote it."""
    name = unicodedata.normalize("NFC", name)
    return name if "/" in name else name.replace("\\", "/")


SPELLING: dict[str, Callable[[str], str]] = {
    "unzip": lambda name: name.translate(CONTROL),  # ASCII's control characters are dropped
    "bsdtar": _by_libarchive,
}


class ArchiveReaders:
    def __init__(self, java: JavaReaders) -> None:
        self._java = java

    def assert_opens_everywhere(self, path: Path, expected: Mapping[str, bytes | str], *, java_stream: bool) -> None:
        """Assert that every reader finds exactly these names with these bytes (or the SHA-256 of them, in hexadecimal).

        `java_stream` says whether ZipInputStream must read it too. It goes by the local headers alone and refuses
        stored entries whose size comes behind them in a descriptor.
        """
        wanted = {
            name: hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content
            for name, content in expected.items()
        }
        readers: dict[str, Callable[[Path], Tree]] = {
            "zipfile": _zipfile,
            "unzip": unzipped,
            "7z": _7z,
            "bsdtar": _bsdtar,
            "Java ZipFile": self._java.file,
        }
        if java_stream:
            readers["Java ZipInputStream"] = self._java.stream
        problems = [
            f"{name}: {problem}" for name, read in readers.items() if (problem := _problem(name, read, path, wanted))
        ]
        assert not problems, "\n".join(problems)


def _problem(reader: str, read: Callable[[Path], Tree], path: Path, wanted: Tree) -> str:
    spell = SPELLING.get(reader, str)
    spelled = {spell(name): digest for name, digest in wanted.items()}
    assert len(spelled) == len(wanted), f"{reader} would write two of these names as one"
    try:
        found = read(path)
    except Refused as refused:
        return f"refused: {refused}"
    if read in {unzipped, _7z, _bsdtar}:
        spelled = without_parents(spelled)
    differences = [
        *(f"{name!a} is missing" for name in spelled.keys() - found.keys()),
        *(f"{name!a} is not expected" for name in found.keys() - spelled.keys()),
        *(f"{name!a} has other bytes" for name in spelled.keys() & found.keys() if spelled[name] != found[name]),
    ]
    return "; ".join(sorted(differences))


def _zipfile(path: Path) -> Tree:
    try:
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():
                raise Refused(f"{broken!a} is broken")
            tree: Tree = {}
            for entry in archive.infolist():
                with archive.open(entry) as content:
                    tree[entry.filename] = digest_of(content)
            if len(tree) != len(archive.infolist()):
                raise Refused("a name occurs twice")
            return tree
    except zipfile.BadZipFile as bad:
        raise Refused(str(bad)) from bad


def unzipped(path: Path) -> Tree:
    """Return what unzip extracts; raises Refused where it complains."""
    _run("unzip", "-tqq", path)
    with tempfile.TemporaryDirectory() as target:
        _run("unzip", "-qq", path, "-d", target)
        return extracted(Path(target))


def _7z(path: Path) -> Tree:
    said = _run("7z", "t", path)
    if "Everything is Ok" not in said or "Warning" in said:  # a warning alone is a success to it
        raise Refused(said)
    with tempfile.TemporaryDirectory() as target:
        _run("7z", "x", path, f"-o{target}")
        return extracted(Path(target))


def _bsdtar(path: Path) -> Tree:
    with tempfile.TemporaryDirectory() as target:
        if said := _run("bsdtar", "-xf", path, "-C", target):
            raise Refused(said)
        return extracted(Path(target))


def _run(name: str, *arguments: str | Path) -> str:
    """Run the tool and return what it said; anything but success is a refusal."""
    done = subprocess.run(
        [tool(name), *arguments],
        env={**os.environ, "LC_ALL": "C.UTF-8"},  # in the locale "C" unzip and bsdtar spoil every name beyond ASCII
        stdin=subprocess.DEVNULL,  # unzip and 7z ask what to do about a file that is there already
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise Refused(f"status {done.returncode}: {done.stdout.strip()[-2000:]}")
    return done.stdout
