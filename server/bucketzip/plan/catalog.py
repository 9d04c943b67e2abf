"""What planning needs to know of S3: which objects there are. A port; `s3/listing.py` implements it."""

from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol


class Listed(NamedTuple):
    """An object as a listing, or a head, tells of it."""

    key: str
    size: int
    etag: str
    """With its quotes."""
    mtime: int
    """Seconds since 1970."""
    archived: bool = False
    """In a storage class that must be restored first, and is not."""
    may_have_crc: bool = False
    """Whether a head may tell a CRC-32."""
    version_id: str = ""
    """Where it is that, and not the ETag alone, that pins the content."""
    crc: int | None = None
    """CRC-32 of the whole object, where S3 stores it and has been asked."""
    crc_rebuilt: bool = False
    """Whether it was put together from those of the object's parts."""


Pages = AsyncGenerator[list[Listed], None]


class Catalog(Protocol):
    """Lists and looks at objects. Everything raises our errors, which name the bucket or the object."""

    def pages(self, bucket: str, prefix: str) -> Pages:
        """All objects whose keys begin with `prefix`, a page at a time, always in the same order."""

    async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
        """One object, with its CRC-32 where S3 stores it; raises NoSuchObject."""
