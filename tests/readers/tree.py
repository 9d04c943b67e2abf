"""What a reader found in an archive: each name with the SHA-256 of its bytes; a directory's name ends with "/"."""

import hashlib
import shutil
from pathlib import Path
from typing import IO

Tree = dict[str, str]
EMPTY = hashlib.sha256().hexdigest()


class Refused(Exception):
    """The reader said no, or complained."""


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: `make test` installs what tests/apt-packages.txt lists")
    return found


def digest_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def extracted(directory: Path) -> Tree:
    """Return what lies below the directory, but no directory that holds something: an archive need not list those."""
    tree: Tree = {}
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        if path.is_dir():
            if not any(path.iterdir()):
                tree[f"{name}/"] = EMPTY
        else:
            with path.open("rb") as file:
                tree[name] = digest_of(file)
    return tree


def without_parents(tree: Tree) -> Tree:
    """Return the tree as `extracted` would show it: entries of directories that hold other entries are left out."""
    parents = {name[: at + 1] for name in tree for at in range(len(name) - 1) if name[at] == "/"}
    return {name: digest for name, digest in tree.items() if name not in parents}
