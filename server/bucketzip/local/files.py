"""Objects read into memory, a file each, instead of into an archive."""

import io
from collections.abc import Callable, Iterator, Sequence

from bucketzip.archive.manifest import Manifest
from bucketzip.transfer.fetch import Piece


class Files:
    """Takes the content of a manifest's entries, in their order, as `Opened.reading` sends it. Implements `Sink`.

    `read` is told how many bytes and entries there are so far.
    """

    def __init__(self, manifest: Manifest, read: Callable[[int, int], None]) -> None:
        self.files = [
            (manifest.name(entry).decode(), io.BytesIO(manifest.inline(entry) or b"")) for entry in range(len(manifest))
        ]
        self._sizes = manifest.sizes
        self._read = read
        self._bytes = 0
        self._awaited = self._with_content(manifest)
        self._entry = next(self._awaited, len(manifest))

    async def write(self, pieces: Sequence[Piece]) -> None:
        """No piece is of two entries."""
        for piece in pieces:
            file = self.files[self._entry][1]
            self._bytes += file.write(piece)
            if file.tell() == self._sizes[self._entry]:
                file.seek(0)
                self._entry = next(self._awaited, len(self.files))
        self._read(self._bytes, self._entry)

    def unsent_bytes(self) -> int:
        """Nothing ever waits here."""
        return 0

    def abort(self) -> None:
        """Nobody is there who could take what came for the whole."""

    def _with_content(self, manifest: Manifest) -> Iterator[int]:
        return (entry for entry, size in enumerate(manifest.sizes) if size and manifest.inline(entry) is None)
