"""The CRCs of one manifest's entries: those it was written with, and those learned since.

Content that its ETag pins has one CRC, so all who send the same manifest share one of these.
"""

from array import array
from collections.abc import Callable

from bucketzip.archive.manifest import Manifest, Source
from bucketzip.errors import ContentMismatch


class Crcs:
    """Five bytes an entry, and only once the first CRC is learned.

    `on_fresh` is called when something was learned that is worth keeping; `take_fresh` gives it.
    """

    def __init__(self, manifest: Manifest, on_fresh: Callable[[], None]) -> None:
        self._manifest = manifest
        self._on_fresh = on_fresh
        self._fresh: list[int] = []
        self._refuted: list[int] = []
        self._values = array("I")
        self._known = bytearray()

    def get(self, entry: int) -> int | None:
        """The CRC of an entry, where it is known."""
        if self._known and self._known[entry]:
            return self._values[entry]
        return self._manifest.crc(entry)

    def learn(self, entry: int, crc: int) -> None:
        """Note the CRC of an entry that was read whole; raises ContentMismatch where another one was known."""
        known = self.get(entry)
        if known is None:
            self.recall(entry, crc)
            self._fresh.append(entry)
            self._on_fresh()
        elif known != crc:
            self._refuted.append(entry)
            source = self._manifest.source(entry)
            where = "its entry" if isinstance(source, bytes) else f"s3://{source.bucket}/{source.key}"
            raise ContentMismatch(
                f"{where}: CRC-32 {crc:08x} was read, {known:08x} was known of it; "
                f"ask for the archive anew, which will not trust that"
            )

    def recall(self, entry: int, crc: int) -> None:
        """Note a CRC that is kept already."""
        if not self._known:
            self._values = array("I", bytes(4 * len(self._manifest)))
            self._known = bytearray(len(self._manifest))
        self._values[entry], self._known[entry] = crc, 1

    def take_fresh(self, most: int) -> list[tuple[Source, int, int]]:
        """(object, size, CRC) of up to `most` that were learned and not yet taken."""
        fresh, self._fresh = self._fresh[:most], self._fresh[most:]
        return [(*pinned, self._values[entry]) for entry in fresh if (pinned := self._pinned(entry)) is not None]

    def take_refuted(self) -> list[tuple[Source, int]]:
        """(object, size) of those that had another CRC than was known, and were not yet taken."""
        refuted, self._refuted = self._refuted, []
        return [pinned for entry in refuted if (pinned := self._pinned(entry)) is not None]

    def _pinned(self, entry: int) -> tuple[Source, int] | None:
        source = self._manifest.source(entry)
        return None if isinstance(source, bytes) else (source, self._manifest.sizes[entry])
