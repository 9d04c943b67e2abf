"""What compresses in a download, without S3 and HTTP: `python -m bench.deflating DIRECTORY LEVEL THREADS`.

A level is a number, or `auto-` and a number.

Files are read one after the other and go the product's own way into a compressed archive on standard output.
"""

import asyncio
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path

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


def _manifest(files: Sequence[Path], root: Path) -> Manifest:
    builder = ManifestBuilder()
    for file in files:
        name = str(file.relative_to(root))
        builder.add(name, Source("files", name, '"etag"'), size=file.stat().st_size, mtime=_MTIME)
    written = io.BytesIO()
    builder.write(written)
    return Manifest(written.getvalue())


async def _main(root: Path, files: Sequence[Path], level: str, threads: int) -> None:
    manifest, metrics = _manifest(files, root), Metrics()
    compression = Compression(int(level.removeprefix("auto-")), auto=level.startswith("auto-"))
    archive = DeflatedArchive(manifest, lambda *_: None, compression)
    compressor = Compressor(threads, in_bytes=metrics.deflate_in_bytes, out_bytes=metrics.deflate_out_bytes)
    with Deflating(
        archive,
        compressor,
        Budget(_BUDGET_BYTES, now=time.monotonic),
        ToSink(_Output()),
        window_bytes=lambda: _WINDOW_BYTES,
    ) as sink:
        for file in files:
            with file.open("rb", buffering=0) as content:
                while piece := content.read(_READ_BYTES):
                    crc32(piece)  # as the pump does
                    await sink.write([piece])
        await sink.finish()
    compressor.close()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    asyncio.run(_main(folder, found, sys.argv[2], int(sys.argv[3])))
