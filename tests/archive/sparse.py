"""An archive as a file that nobody wrote, for readers that seek: of many GiB they read a few KiB."""

import io

from bucketzip.archive.layout import Layout
from tests.archive.rendering import render


class Sparse(io.RawIOBase):
    """The archive as a file to be read: its content is zeros."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._layout.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._layout.size if size < 0 else min(self._at + size, self._layout.size)
        data = render(
            self._layout,
            self._at,
            stop,
            read=lambda _entry, start, stop: bytes(stop - start),
            crc=lambda _entry: 0x9ABCDEF0,
        )
        self._at += len(data)
        return data
