"""boto3 and zipfile from S3 to S3, `upload_fileobj` at the other end of a pipe: `... BUCKET PREFIX KEY`.

The usual script without its usual mistake: it holds the archive neither in memory nor on a disk. At its end it tells as
JSON what it took; its interpreter and imports are in the peak alone.
"""

import json
import os
import shutil
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

from bench.meter import peak_memory_bytes
from bench.peers.http_stream import objects

_CHUNK_BYTES = 1 << 20


def _write(client: Any, bucket: str, prefix: str, pipe: int) -> None:
    """The archive into the pipe, which is closed at the end. A pipe cannot be told, so zipfile writes descriptors."""
    with open(pipe, "wb") as out, zipfile.ZipFile(out, "w") as archive:  # a descriptor
        for entry in objects(client, bucket, prefix):
            key = entry["Key"]
            body = client.get_object(Bucket=bucket, Key=key)["Body"]
            with archive.open(key.removeprefix(prefix), "w", force_zip64=True) as target:
                shutil.copyfileobj(body, target, _CHUNK_BYTES)


def _main(bucket: str, prefix: str, key: str) -> None:
    client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
    sent: list[str] = []
    client.meta.events.register("before-send.s3", lambda event_name, **_: sent.append(event_name))
    began, cpu_began = time.perf_counter(), time.process_time()
    readable, writable = os.pipe()
    with ThreadPoolExecutor(1) as thread, open(readable, "rb") as body:  # noqa: PTH123  # a descriptor
        writing = thread.submit(_write, client, bucket, prefix, writable)
        client.upload_fileobj(body, bucket, key)
        writing.result()
    told = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
        "peak_bytes": peak_memory_bytes(os.getpid()),
        "requests": len(sent),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    _main(*sys.argv[1:])
