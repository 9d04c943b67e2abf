"""The same objects, uploaded in the manners that S3 keeps checksums by."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any

from bench.corpus import Corpus
from bench.datasets import BUCKET, MIB, Dataset
from bench.origins.base import Origin
from bench.origins.client import CONNECTIONS, s3_client

_PART_BYTES = 5 * MIB


class Manner(Enum):
    """What S3 keeps of an upload beside its bytes."""

    PLAIN = "no CRC-32"
    STORED = "that of the object"
    COMPOSITE = "that of each part"


def upload(origin: Origin, corpus: Corpus, dataset: Dataset, manner: Manner, *, prefix: str) -> None:
    """Put the dataset's objects below the prefix; their names stay."""
    client = s3_client(origin, checksums="when_required")

    def one(source: Path) -> None:
        _PUT[manner](client, f"{prefix}{source.name}", source)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(one, [corpus.path(key) for key, _ in dataset.objects()]):
            pass


def _plain(client: Any, key: str, source: Path) -> None:
    with source.open("rb") as body:
        client.put_object(Bucket=BUCKET, Key=key, Body=body)


def _stored(client: Any, key: str, source: Path) -> None:
    with source.open("rb") as body:
        client.put_object(Bucket=BUCKET, Key=key, Body=body, ChecksumAlgorithm="CRC32")


def _composite(client: Any, key: str, source: Path) -> None:
    where = {"Bucket": BUCKET, "Key": key}
    created = client.create_multipart_upload(**where, ChecksumAlgorithm="CRC32", ChecksumType="COMPOSITE")
    where["UploadId"] = created["UploadId"]
    parts: list[dict[str, Any]] = []
    with source.open("rb") as content:
        while body := content.read(_PART_BYTES):
            number = len(parts) + 1
            part = client.upload_part(**where, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
            parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]})
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})


_PUT: dict[Manner, Callable[[Any, str, Path], None]] = {
    Manner.PLAIN: _plain,
    Manner.STORED: _stored,
    Manner.COMPOSITE: _composite,
}
