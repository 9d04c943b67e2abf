"""What S3 answers when one object is read: its bytes, its head, its attributes."""

from email.utils import format_datetime

from tests.faults.asked import Asked
from tests.faults.checksums import encoded
from tests.faults.documents import Refused, document, element, with_date
from tests.faults.http_reply import Reply
from tests.faults.objects import DeleteMarker, StoredObject
from tests.faults.store import Store

PAGE_PARTS = 1000


def get_object(store: Store, asked: Asked) -> Reply:
    """Answer GET and HEAD; what has a body is told by the method."""
    found = _find(store, asked)
    wanted, known = asked.headers.get("If-Match"), asked.headers.get("If-None-Match")
    if wanted and wanted != "*" and wanted.strip('"') != found.etag.strip('"'):
        raise Refused(412, "PreconditionFailed")
    headers = {
        "ETag": found.etag,
        "Last-Modified": format_datetime(found.last_modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        **_version_header(store, found),
        **found.headers,
    }
    if known and known.strip('"') == found.etag.strip('"'):
        return Reply(status=304, headers=with_date(headers))
    size = found.content.size
    status, start, stop = 200, 0, size
    if asked_range := parse_range(asked.headers.get("Range", ""), size):
        status, (start, stop) = 206, asked_range
        if start >= stop:
            raise Refused(416, "InvalidRange", {"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    elif asked.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers |= found.checksum_headers
    headers["Content-Length"] = str(stop - start)
    return Reply(status=status, headers=with_date(headers), content=found.content, start=start, stop=stop)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return `[start, stop)`, empty if it cannot be satisfied; None if S3 would ignore the header."""
    unit, _, spec = header.partition("=")
    first, dash, last = spec.partition("-")
    if unit != "bytes" or not dash or not (first + last).isdecimal():
        return None
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def get_object_attributes(store: Store, asked: Asked) -> Reply:
    found = _find(store, asked)
    wanted = {name.strip() for name in asked.headers.get("x-amz-object-attributes", "").split(",")}
    elements = {
        "ETag": element("ETag", found.etag.strip('"')),
        "Checksum": _checksum(found),
        "ObjectParts": _parts(found, asked),
        "StorageClass": element("StorageClass", "STANDARD"),
        "ObjectSize": element("ObjectSize", found.content.size),
    }
    if not wanted <= elements.keys():
        raise Refused(400, "InvalidArgument")
    return document(
        "GetObjectAttributesResponse",
        *(text for name, text in elements.items() if name in wanted),
        headers={
            "Last-Modified": format_datetime(found.last_modified, usegmt=True),
            **_version_header(store, found),
        },
    )


def _checksum(found: StoredObject) -> str:
    if found.checksum is None:
        return ""
    # Other than in a header, no number of parts stands behind a composite value.
    value, kind = element("ChecksumCRC32", found.checksum), element("ChecksumType", found.checksum_type)
    return f"<Checksum>{value}{kind}</Checksum>"


def _parts(found: StoredObject, asked: Asked) -> str:
    """Single parts are kept where each has a checksum of its own; of others only their number is known."""
    if not found.part_sizes:
        return ""
    count = element("PartsCount", len(found.part_sizes))
    if found.checksum_type != "COMPOSITE":
        return f"<ObjectParts>{count}</ObjectParts>"
    limit = min(PAGE_PARTS, int(asked.headers.get("x-amz-max-parts", PAGE_PARTS)))
    marker = int(asked.headers.get("x-amz-part-number-marker", 0))
    parts = list(enumerate(zip(found.part_sizes, found.part_crcs, strict=True), 1))
    page = [part for part in parts if part[0] > marker][:limit]
    last = page[-1][0] if page else marker
    elements = [
        element("PartNumberMarker", marker),
        element("NextPartNumberMarker", last),
        element("MaxParts", limit),
        element("IsTruncated", last < len(parts)),
        count,
    ]
    for number, (size, crc) in page:
        described = element("PartNumber", number) + element("Size", size) + element("ChecksumCRC32", encoded(crc))
        elements.append(f"<Part>{described}</Part>")
    return f"<ObjectParts>{''.join(elements)}</ObjectParts>"


def _find(store: Store, asked: Asked) -> StoredObject:
    version_id = asked.query.get("versionId")
    found = store.objects.find_version(asked.key, version_id)
    if found is None:
        raise Refused(404, "NoSuchVersion" if version_id else "NoSuchKey")
    if isinstance(found, DeleteMarker):
        marker = {"x-amz-delete-marker": "true", "x-amz-version-id": found.version_id or "null"}
        raise Refused(*((405, "MethodNotAllowed") if version_id else (404, "NoSuchKey")), marker)
    return found


def _version_header(store: Store, found: StoredObject) -> dict[str, str]:
    if found.version_id or store.objects.versioned:
        return {"x-amz-version-id": found.version_id or "null"}
    return {}
