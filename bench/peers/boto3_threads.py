"""boto3_zipfile with 64 threads that read ahead: what one writes when one object after the other is too slow."""

import zipfile
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

from bench.peers.boto3_zipfile import Unseekable
from bench.peers.http_stream import objects, serve

_THREADS = 64


def _write(client: Any, bucket: str, prefix: str, announce: Callable[[int | None], None], out: BinaryIO) -> None:
    def read(key: str) -> bytes:
        data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    announce(None)
    ahead: deque[tuple[str, Future[bytes]]] = deque()
    with (
        ThreadPoolExecutor(_THREADS) as threads,
        zipfile.ZipFile(Unseekable(out), "w") as archive,  # type: ignore[call-overload]  # write and flush are enough
    ):
        for entry in objects(client, bucket, prefix):
            ahead.append((entry["Key"], threads.submit(read, entry["Key"])))
            if len(ahead) == _THREADS:
                _put(archive, *ahead.popleft())
        while ahead:
            _put(archive, *ahead.popleft())


def _put(archive: zipfile.ZipFile, key: str, data: "Future[bytes]") -> None:
    archive.writestr(key.rpartition("/")[2], data.result())


if __name__ == "__main__":
    serve(_write)
