"""zipstream-ng fed by boto3, after the "Integration with a Flask webapp" example of its README."""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from zipstream import ZipStream

from bench.peers.http_stream import objects, serve

_CHUNK_BYTES = 1 << 20


def _body(client: Any, bucket: str, key: str) -> Iterator[bytes]:  # boto3 has no types
    """Opened when its turn comes, so that no connection idles."""
    yield from client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK_BYTES)


def _write(client: Any, bucket: str, prefix: str, announce: Callable[[int | None], None], out: BinaryIO) -> None:
    stream = ZipStream(sized=True)
    for entry in objects(client, bucket, prefix):
        key, size = entry["Key"], entry["Size"]
        stream.add(_body(client, bucket, key), key.rpartition("/")[2], size=size)
    announce(len(stream))
    out.writelines(stream)


if __name__ == "__main__":
    serve(_write)
