"""ListObjectsV2 as files: the pages nginx hands out for a bucket it cannot list.

Each page is what S3 would answer for one prefix and one continuation token, with the ETag and the time that nginx
itself gives for the file, so a client that compares the two sees one object. Flat prefixes only: a delimiter changes
nothing there, and what the pages cannot answer (StartAfter, another prefix) is refused by origins/nginx.py.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.datasets import BUCKET, Dataset

#: Directory of the pages below the static root, `LISTINGS/prefix/token.xml`; token 0 is the first page.
LISTINGS = ".listing"
_PAGE_KEYS = 1000  # as S3


def etag_of(path: Path) -> str:
    """What nginx answers for a static file: modification time and size, in hexadecimal."""
    status = path.stat()
    return f'"{int(status.st_mtime):x}-{status.st_size:x}"'


def _entry(root: Path, key: str) -> str:
    path = root / BUCKET / key
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    etag = etag_of(path).replace('"', "&quot;")
    return (
        f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag>"
        f"<Size>{path.stat().st_size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _page(dataset: Dataset, entries: Sequence[str], token: int, *, last: bool) -> str:
    following = "" if last else f"<NextContinuationToken>{token + 1}</NextContinuationToken>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><Prefix>{dataset.prefix}</Prefix><KeyCount>{len(entries)}</KeyCount>"
        f"<MaxKeys>{_PAGE_KEYS}</MaxKeys><IsTruncated>{str(not last).lower()}</IsTruncated>{following}"
        f"{''.join(entries)}</ListBucketResult>"
    )


def write_listing(root: Path, dataset: Dataset) -> None:
    """Render every page of the dataset's prefix; its objects must be on disk."""
    directory = root / LISTINGS / dataset.name
    directory.mkdir(parents=True)
    keys = [key for key, _ in dataset.objects()]
    for token, start in enumerate(range(0, len(keys), _PAGE_KEYS)):
        entries = [_entry(root, key) for key in keys[start : start + _PAGE_KEYS]]
        last = start + _PAGE_KEYS >= len(keys)
        (directory / f"{token}.xml").write_text(_page(dataset, entries, token, last=last))
