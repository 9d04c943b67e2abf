"""How far an archive is, and what was made of it in the end."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass
class Progress:
    """What is done: bytes of the archive, or of the content of a compressed one, whose length nobody knows."""

    copied_bytes: int = 0
    built_bytes: int = 0
    entries: int = 0
    """Whose last byte is there."""


class Outcome(NamedTuple):
    """An archive of which all parts are there."""

    bytes: int
    parts: int
    copied_bytes: int
    """Of those, by S3 itself."""
    source_bytes: int
    """Of the content of all entries."""
    stored: int
    """Entries; the others are deflated."""
    deflated: int
