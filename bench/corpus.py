"""The objects on disk: nginx serves this tree, SeaweedFS is filled from it, archives are checked against it."""

import os
import zlib
from pathlib import Path

from bench.datasets import BUCKET, Dataset, content
from bench.listing import write_listing

#: Modification time of the first object, seconds since 1970; each next one is a second later, so no two share an ETag.
_FIRST_MTIME = 1_700_000_000


class Corpus:
    """A tree `root/bucket/key` with the datasets asked for so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checksums: dict[str, dict[str, tuple[int, int]]] = {}

    def path(self, key: str) -> Path:
        """Where the object lies."""
        return self.root / BUCKET / key

    def add(self, dataset: Dataset) -> None:
        """Write the objects and their listing, unless they are there."""
        if dataset.name in self._checksums:
            return
        checksums: dict[str, tuple[int, int]] = {}
        self.path(dataset.prefix).mkdir(parents=True)
        for index, (key, size) in enumerate(dataset.objects()):
            data = content(key, size)
            path = self.path(key)
            path.write_bytes(data)
            os.utime(path, (_FIRST_MTIME + index, _FIRST_MTIME + index))
            checksums[path.name] = (size, zlib.crc32(data))
        write_listing(self.root, dataset)
        self._checksums[dataset.name] = checksums

    def checksums(self, dataset: Dataset) -> dict[str, tuple[int, int]]:
        """Size and CRC-32 by the last part of the key, which is the entry's name in every contender's archive."""
        return self._checksums[dataset.name]
