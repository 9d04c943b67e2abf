"""boto3 and zipfile, the script everybody writes first; straight into the response, the quicker of its two forms."""

import shutil
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

from bench.peers.http_stream import objects, serve

_CHUNK_BYTES = 1 << 20


class Unseekable:
    """zipfile writes descriptors instead of going back when tell() is refused."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        return self._out.write(data)

    def flush(self) -> None:
        self._out.flush()


def _write(client: Any, bucket: str, prefix: str, announce: Callable[[int | None], None], out: BinaryIO) -> None:
    announce(None)
    with zipfile.ZipFile(Unseekable(out), "w") as archive:  # type: ignore[call-overload]  # write and flush are enough
        for entry in objects(client, bucket, prefix):
            key = entry["Key"]
            body = client.get_object(Bucket=bucket, Key=key)["Body"]
            with archive.open(key.rpartition("/")[2], "w", force_zip64=True) as target:
                shutil.copyfileobj(body, target, _CHUNK_BYTES)


if __name__ == "__main__":
    serve(_write)
