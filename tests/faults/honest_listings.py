"""What S3 answers about a bucket: its keys and their versions, page by page."""

import base64
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from urllib.parse import quote_plus

from tests.faults.asked import Asked
from tests.faults.documents import Refused, document, element, head_only
from tests.faults.http_reply import Reply
from tests.faults.objects import LAST_CHARACTER, WRITTEN_AT, Objects, StoredObject, Version
from tests.faults.store import Store


def list_buckets(store: Store) -> Reply:
    owned = f"<Bucket>{element('Name', store.bucket)}{element('CreationDate', WRITTEN_AT)}</Bucket>"
    return document("ListAllMyBucketsResult", f"<Buckets>{owned}</Buckets>")


def head_bucket(store: Store, asked: Asked) -> Reply:
    return head_only({"x-amz-bucket-region": "us-east-1"})


def get_bucket_versioning(store: Store, asked: Asked) -> Reply:
    return document("VersioningConfiguration", element("Status", "Enabled" if store.objects.versioned else ""))


def list_objects_v2(store: Store, asked: Asked, most: int) -> Reply:
    query, name = asked.query, naming(asked.query)
    limit = min(most, int(query.get("max-keys", most)))
    token = query.get("continuation-token", "")
    after = base64.urlsafe_b64decode(token).decode() if token else query.get("start-after", "")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    found, folders, goes_on = store.objects.page(prefix, delimiter, after, limit)
    return document(
        "ListBucketResult",
        element("Name", store.bucket),
        element("Prefix", name(prefix)),
        element("KeyCount", len(found) + len(folders)),
        element("MaxKeys", limit),
        element("Delimiter", name(delimiter)),
        element("StartAfter", name(query.get("start-after", ""))),
        element("EncodingType", query.get("encoding-type")),
        element("ContinuationToken", token),
        element("NextContinuationToken", base64.urlsafe_b64encode(goes_on.encode()).decode()),
        element("IsTruncated", bool(goes_on)),
        *(f"<Contents>{element('Key', name(key))}{_described(stored)}</Contents>" for key, stored in found),
        *(_common_prefix(name(folder)) for folder in folders),
    )


def list_object_versions(store: Store, asked: Asked, most: int) -> Reply:
    query, name = asked.query, naming(asked.query)
    limit = min(most, int(query.get("max-keys", most)))
    key_marker, version_marker = query.get("key-marker", ""), query.get("version-id-marker", "")
    if version_marker and not key_marker:
        raise Refused(400, "InvalidArgument")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    rows = list(islice(_rows(store.objects, prefix, delimiter, (key_marker, version_marker)), limit + 1))
    goes_on = 0 < limit < len(rows)
    rows = rows[:limit]
    last_key, last_version, _ = rows[-1] if goes_on else ("", None, False)
    return document(
        "ListVersionsResult",
        element("Name", store.bucket),
        element("Prefix", name(prefix)),
        element("KeyMarker", name(key_marker)),
        element("VersionIdMarker", version_marker),
        element("NextKeyMarker", name(last_key)),
        element("NextVersionIdMarker", last_version and (last_version.version_id or "null")),
        element("MaxKeys", limit),
        element("Delimiter", name(delimiter)),
        element("EncodingType", query.get("encoding-type")),
        element("IsTruncated", goes_on),
        *(_version(name(key), version, latest=latest) for key, version, latest in rows if version),
        *(_common_prefix(name(key)) for key, version, _ in rows if not version),
    )


def naming(query: Mapping[str, str]) -> Callable[[str], str]:
    """Return how keys are to be written in a document."""
    return lambda key: quote_plus(key, safe="/") if query.get("encoding-type") == "url" else key


def _rows(
    objects: Objects, prefix: str, delimiter: str, marker: tuple[str, str]
) -> Iterator[tuple[str, Version | None, bool]]:
    """Yield each version behind the marker and whether it is the latest of its key; None for a common prefix."""
    key_marker, version_marker = marker
    first = key_marker
    if delimiter and key_marker.endswith(delimiter):  # the page before ended with this common prefix
        first += LAST_CHARACTER
    folder = None
    for key, versions in objects.versions(prefix, first):
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        if found:
            if prefix + head + delimiter != folder:
                folder = prefix + head + delimiter
                yield folder, None, False
            continue
        behind = 0
        if key == key_marker:
            ids = [version.version_id or "null" for version in versions]
            behind = ids.index(version_marker) + 1 if version_marker in ids else len(ids)
        for number, version in enumerate(versions[behind:], behind):
            yield key, version, number == 0


def _version(key: str, version: Version, *, latest: bool) -> str:
    named = element("Key", key) + element("VersionId", version.version_id or "null") + element("IsLatest", latest)
    if isinstance(version, StoredObject):
        return f"<Version>{named}{_described(version)}</Version>"
    return f"<DeleteMarker>{named}{element('LastModified', version.last_modified)}</DeleteMarker>"


def _described(stored: StoredObject) -> str:
    return "".join(
        [
            element("LastModified", stored.last_modified),
            element("ETag", stored.etag),
            element("ChecksumAlgorithm", stored.checksum_type and "CRC32"),
            element("ChecksumType", stored.checksum_type),
            element("Size", stored.content.size),
            element("StorageClass", "STANDARD"),
        ]
    )


def _common_prefix(folder: str) -> str:
    return f"<CommonPrefixes>{element('Prefix', folder)}</CommonPrefixes>"
