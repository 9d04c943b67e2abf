"""Objects that say something about a request, and are read whole. A port; `s3/small_objects.py` implements it."""

from typing import Protocol


class SmallObjects(Protocol):
    """Reads them. Everything raises our errors, which name the object."""

    async def read(self, bucket: str, key: str, *, most_bytes: int) -> bytes:
        """The whole object; raises OverLimit where it has more bytes than that."""
