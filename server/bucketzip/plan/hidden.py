"""A catalog with one object out of sight: an archive never holds itself, or what it is about to replace."""

from bucketzip.errors import NoSuchObject
from bucketzip.plan.catalog import Catalog, Listed, Pages


class Hiding:
    """Implements `Catalog` by another one, without the object `key` of `bucket`."""

    def __init__(self, catalog: Catalog, bucket: str, key: str) -> None:
        self._catalog = catalog
        self._bucket = bucket
        self._key = key
        self.hidden = False
        """Whether the object was there and would have been listed."""

    async def pages(self, bucket: str, prefix: str) -> Pages:
        """As the catalog has them; a page may be empty."""
        async for page in self._catalog.pages(bucket, prefix):
            shown = [listed for listed in page if not self._is_hidden(bucket, listed.key)]
            self.hidden = self.hidden or len(shown) < len(page)
            yield shown

    async def look(self, bucket: str, key: str, version_id: str = "") -> Listed:
        """As the catalog does it."""
        if self._is_hidden(bucket, key):
            raise NoSuchObject(f"s3://{bucket}/{key} is the archive itself")
        return await self._catalog.look(bucket, key, version_id)

    def _is_hidden(self, bucket: str, key: str) -> bool:
        return (bucket, key) == (self._bucket, self._key)
