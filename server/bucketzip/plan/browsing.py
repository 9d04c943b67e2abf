"""What a person needs to see of S3 who looks for something to zip. A port; `s3/browsing.py` implements it."""

from typing import NamedTuple, Protocol


class Bucket(NamedTuple):
    """One that the credentials own."""

    name: str
    created_at: int | None
    """Seconds since 1970; None where S3 does not say."""


class Shown(NamedTuple):
    """An object, as people look at it."""

    key: str
    size: int
    mtime: int
    """Seconds since 1970."""
    storage_class: str


class Level(NamedTuple):
    """A page of what lies directly in a folder. Folders and keys are whole, and in the order of S3."""

    folders: list[str]
    objects: list[Shown]
    following: str
    """What the next page is asked for with; empty on the last."""


class Totals(NamedTuple):
    """What was counted of a folder and all below it."""

    entries: int
    bytes: int
    following: str
    """What the rest is asked for with; empty where there is none."""


class Browser(Protocol):
    """Looks around. Everything raises our errors, which name the bucket."""

    async def buckets(self) -> list[Bucket]:
        """All that the credentials own; raises AccessDenied where they may not know."""

    async def level(self, bucket: str, prefix: str, *, after: str, limit: int) -> Level:
        """At most `limit` folders and objects directly below `prefix`; `after` is what `following` was, or empty."""

    async def totals(self, bucket: str, prefix: str, *, after: str, most_keys: int, most_seconds: float) -> Totals:
        """Count keys that begin with `prefix`, page by page, until it is enough of either; `after` as above."""
