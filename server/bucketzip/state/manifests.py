"""Manifest files: written once under the name of their digest, mapped when read, removed when no link needs them."""

import os
import tempfile
import time
from collections.abc import Iterator
from mmap import ACCESS_READ, MADV_DONTNEED, mmap
from pathlib import Path

from bucketzip.archive.manifest import Manifest, ManifestBuilder, ManifestError
from bucketzip.errors import StateFull

GRACE_SECONDS = 3600
"""A file that nobody needs stays for so long: the link that will need it may be about to be written."""

_SUFFIX = ".manifest"


class Manifests:
    """The folder of manifests, of at most `most_bytes` in all."""

    def __init__(self, directory: Path, *, most_bytes: int) -> None:
        self._directory = directory
        self.limit_bytes = most_bytes
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, builder: ManifestBuilder) -> str:
        """Keep a manifest, durably; returns its digest. Blocks: for a thread."""
        descriptor, name = tempfile.mkstemp(dir=self._directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                digest = builder.write(file)
                file.flush()
                os.fsync(file.fileno())
            if not self._path(digest).exists():
                self._check_room()
            Path(name).replace(self._path(digest))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return digest

    def open(self, digest: str) -> Manifest:
        """Map a manifest. Blocks: for a thread; raises FileNotFoundError, and ManifestError where it is damaged.

        A byte that the disk lost would be one of an archive; to look takes 0.15 s of a million entries.
        """
        with self._path(digest).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise ManifestError("manifest is empty")
            mapped = mmap(file.fileno(), 0, access=ACCESS_READ)
        manifest = Manifest(mapped)
        if manifest.digest() != digest:
            raise ManifestError("manifest is damaged")
        mapped.madvise(MADV_DONTNEED)  # all of it was read, and little will be
        return manifest

    def used_bytes(self) -> int:
        """What all files take. Blocks: for a thread."""
        return sum(status.st_size for _, status in self._files())

    def sweep(self, needed: set[str]) -> int:
        """Remove what no link needs, and what a write that broke off left; returns how many. Blocks: for a thread."""
        removed = 0
        for path, status in self._files():
            old = time.time() - status.st_mtime > GRACE_SECONDS
            if old and path.name.removesuffix(_SUFFIX) not in needed:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _check_room(self) -> None:
        if self.used_bytes() > self.limit_bytes:
            raise StateFull

    def _path(self, digest: str) -> Path:
        return self._directory / f"{digest}{_SUFFIX}"

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._directory.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:  # another process sweeps too
                continue
            yield path, status
