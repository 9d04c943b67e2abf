"""Which paths of a source are wanted, by its globs.

As in .gitignore: `*` stays within a folder, `**` crosses folders, a glob with a slash in front or within is about the
whole path and one without about its last part, and one that ends with a slash matches all in such a folder.
"""

import re
from collections.abc import Callable, Sequence

from wcmatch import glob

Matches = Callable[[str], bool]

NOT_INCLUDED = "no include glob matches it"
EXCLUDED = "an exclude glob matches it"

_DOTS = re.compile(r"(?<![^/])\.\.?(?![^/])")


class Globs:
    """Those of one source: what is wanted matches an include glob (if there are any) and no exclude glob."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = _matching(include)
        self._exclude = _matching(exclude)

    def why_not(self, path: str) -> str | None:
        """Why a path is not wanted; None where it is."""
        if self._include is not None and not self._include(path):
            return NOT_INCLUDED
        if self._exclude is not None and self._exclude(path):
            return EXCLUDED
        return None


def _matching(globs: Sequence[str]) -> Matches | None:
    if not globs:
        return None
    anchored = [each.lstrip("/") if "/" in each[:-1] else f"**/{each}" for each in globs]
    patterns = [f"{each}**" if each.endswith("/") else each for each in anchored]
    # In a key the parts `.` and `..` are like any other, but no wildcard takes them for one.
    compiled = glob.compile(
        [_DOTS.sub("_", each) for each in patterns], flags=glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX
    )
    return lambda path: compiled.match(_DOTS.sub("_", path))
