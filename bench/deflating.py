"""What compresses in a download, without S3 and HTTP: `python -m bench.deflating DIRECTORY LEVEL CORES`.

A level is a number, or `auto-` and a number. It runs on so many cores, with as many threads as the product has there.
Files are read one after the other and go the product's own way into a compressed archive on standard output.
"""

import asyncio
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence

from bucketzip.archive.crc import crc32
from bucketzip.archive.deflated import Compression, DeflatedArchive
from bucketzip.archive.manifest import Manifest, ManifestBuilder, Source
from bucketzip.metrics import Metrics
from bucketzip.transfer.budget import Budget
from bucketzip.transfer.compressor import Compressor
from bucketzip.transfer.deflating import Deflating
from bucketzip.transfer.fetch import Piece
from bucketzip.transfer.outlets import ToSink

_READ_BYTES = 1 << 20
_BUDGET_BYTES = 128 << 20
_WINDOW_BYTES = 32 << 20
_MTIME = 1_700_000_000


class _Output:
    """Standard output. It may block: nobody else uses this loop."""

    async def write(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)

    def unsent_bytes(self) -> int:
        return 0

    def abort(self) -> None:
        raise BrokenPipeError


def _found(root: str) -> Iterator[tuple[str, int]]:
    """Path and size of each file, by the system's own calls: what S3's listing stands for is not to be measured."""
    with os.scandir(root) as found:
        for each in found:
            if each.is_dir():
                yield from _found(each.path)
            else:
                yield each.path, each.stat().st_size


def _manifest(files: Sequence[tuple[str, int]], root: str) -> Manifest:
    builder = ManifestBuilder()
    for path, size in files:
        name = path.removeprefix(f"{root}/")
        builder.add(name, Source("files", name, '"etag"'), size=size, mtime=_MTIME)
    written = io.BytesIO()
    builder.write(written)
    return Manifest(written.getvalue())


def _pieces(files: Sequence[tuple[str, int]]) -> Iterator[bytes]:
    for path, size in files:
        with open(path, "rb", buffering=0) as content:  # noqa: PTH123  -- a Path of each costs half as much as its read
            for start in range(0, size, _READ_BYTES):
                yield content.read(min(_READ_BYTES, size - start))


async def _main(root: str, level: str, cores: int) -> None:
    files = sorted(_found(root))
    manifest, metrics = _manifest(files, root), Metrics()
    compression = Compression(int(level.removeprefix("auto-")), auto=level.startswith("auto-"))
    archive = DeflatedArchive(manifest, lambda *_: None, compression)
    compressor = Compressor(cores, in_bytes=metrics.deflate_in_bytes, out_bytes=metrics.deflate_out_bytes)
    with Deflating(
        archive,
        compressor,
        Budget(_BUDGET_BYTES, now=time.monotonic),
        ToSink(_Output()),
        window_bytes=lambda: _WINDOW_BYTES,
    ) as sink:
        for piece in _pieces(files):
            crc32(piece)  # as the pump does
            await sink.write([piece])
        await sink.finish()
    compressor.close()


if __name__ == "__main__":
    folder, how, cores = sys.argv[1], sys.argv[2], int(sys.argv[3])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    asyncio.run(_main(folder, how, cores))
