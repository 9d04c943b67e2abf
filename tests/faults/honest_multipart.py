"""What S3 answers when an object is written in parts: create, upload, copy, complete, abort. CRC32 or no checksum."""

import secrets
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from tests.faults.asked import Asked
from tests.faults.checksums import ChecksumType, encoded
from tests.faults.content import Content, Given, Joined, slice_of
from tests.faults.documents import Refused, document, element, head_only
from tests.faults.http_reply import Reply
from tests.faults.objects import StoredObject, quoted_etag
from tests.faults.store import Part, Store, Upload

MIB, GIB = 1 << 20, 1 << 30
MIN_PART_BYTES = 5 * MIB  # but for the last
MAX_PART_BYTES = 5 * GIB
MIN_RANGED_SOURCE_BYTES = 5 * MIB + 1
MAX_PARTS = 10_000
KEPT_HEADERS = ("content-type", "content-disposition", "content-encoding", "cache-control", "x-amz-meta-")


class Named(NamedTuple):
    """A part as CompleteMultipartUpload names it."""

    number: int
    etag: str
    crc: str | None


def create(store: Store, asked: Asked) -> Reply:
    kept = {name: value for name, value in asked.headers.items() if name.lower().startswith(KEPT_HEADERS)}
    upload = Upload(secrets.token_hex(8), asked.key, _checksum_type(asked), kept)
    kind = upload.checksum_type
    return document(
        "InitiateMultipartUploadResult",
        element("Bucket", store.bucket),
        element("Key", upload.key),
        element("UploadId", upload.upload_id),
        headers={"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": kind} if kind else {},
        effect=lambda: store.uploads.update({upload.upload_id: upload}),
    )


def _checksum_type(asked: Asked) -> ChecksumType | None:
    algorithm, kind = asked.headers.get("x-amz-checksum-algorithm"), asked.headers.get("x-amz-checksum-type")
    match algorithm, kind:
        case None, None:
            return None
        case "CRC32", None | "COMPOSITE":
            return "COMPOSITE"
        case "CRC32", "FULL_OBJECT":
            return "FULL_OBJECT"
        case None, _:
            raise Refused(400, "InvalidRequest")
    raise Refused(501, "NotImplemented")


def upload_part(store: Store, asked: Asked) -> Reply:
    upload, number = store.upload_of(asked), _part_number(asked)
    if asked.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        raise Refused(501, "NotImplemented")  # the body is then in signed or trailed chunks
    part, sent_crc = Part(Given(asked.body)), asked.headers.get("x-amz-checksum-crc32")
    if sent_crc is None and upload.checksum_type:
        raise Refused(400, "InvalidRequest")
    if sent_crc is not None and sent_crc != encoded(part.crc):
        raise Refused(400, "BadDigest")
    headers = {"ETag": part.etag, **({"x-amz-checksum-crc32": sent_crc} if sent_crc else {})}
    return head_only(headers, effect=_storing(upload, number, part))


def upload_part_copy(store: Store, asked: Asked) -> Reply:
    upload, number = store.upload_of(asked), _part_number(asked)
    source = copied_object(store, asked)
    wanted = asked.headers.get("x-amz-copy-source-if-match")
    if wanted and wanted.strip('"') != source.etag.strip('"'):
        raise Refused(412, "PreconditionFailed")
    part = Part(_copied_bytes(source.content, asked.headers.get("x-amz-copy-source-range")))
    return document(
        "CopyPartResult",
        element("LastModified", part.last_modified),
        element("ETag", part.etag),
        element("ChecksumCRC32", upload.crc_of(part)),
        headers={"x-amz-copy-source-version-id": source.version_id} if source.version_id else {},
        effect=_storing(upload, number, part),
    )


def copied_object(store: Store, asked: Asked) -> StoredObject:
    """Return the version of an object that x-amz-copy-source names."""
    path, _, version_id = asked.headers["x-amz-copy-source"].removeprefix("/").partition("?versionId=")
    bucket, _, key = unquote(path).partition("/")
    if bucket != store.bucket:
        raise Refused(404, "NoSuchBucket")
    source = store.objects.find(key, version_id or None)
    if source is None:
        raise Refused(404, "NoSuchVersion" if version_id else "NoSuchKey")
    return source


def _copied_bytes(content: Content, header: str | None) -> Content:
    if header is None:
        if content.size > MAX_PART_BYTES:
            raise Refused(400, "InvalidRequest")
        return content
    first, dash, last = header.removeprefix("bytes=").partition("-")
    if not (header.startswith("bytes=") and dash and first.isdecimal() and last.isdecimal()):
        raise Refused(400, "InvalidArgument")
    start, stop = int(first), int(last) + 1
    if content.size < MIN_RANGED_SOURCE_BYTES:
        raise Refused(400, "InvalidRequest")
    if not start < stop <= content.size or stop - start > MAX_PART_BYTES:
        raise Refused(400, "InvalidArgument")
    return slice_of(content, start, stop)


def _part_number(asked: Asked) -> int:
    number = int(asked.query["partNumber"])
    if not 1 <= number <= MAX_PARTS:
        raise Refused(400, "InvalidArgument")
    return number


def _storing(upload: Upload, number: int, part: Part) -> Callable[[], None]:
    return lambda: upload.parts.update({number: part})


def complete(store: Store, asked: Asked) -> Reply:
    upload = store.upload_of(asked)
    parts = _chosen(upload, _named_parts(asked.body))
    stored = StoredObject(
        content=Joined(tuple(part.content for part in parts)),
        etag=quoted_etag((bytes.fromhex(part.etag.strip('"')) for part in parts), len(parts)),
        version_id=store.objects.next_version_id(),
        last_modified=parts[-1].last_modified,
        headers=upload.headers,
        checksum_type=upload.checksum_type,
        part_sizes=tuple(part.content.size for part in parts),
    )
    told = asked.headers.get
    if told("x-amz-checksum-type") not in {None, upload.checksum_type}:
        raise Refused(400, "InvalidRequest")
    if told("x-amz-mp-object-size") not in {None, str(stored.content.size)}:
        raise Refused(400, "InvalidRequest")
    if told("x-amz-checksum-crc32") not in {None, stored.checksum_headers.get("x-amz-checksum-crc32")}:
        raise Refused(400, "BadDigest")
    if told("If-None-Match") == "*" and store.objects.find(upload.key, None):
        raise Refused(412, "PreconditionFailed")

    def finish() -> None:
        del store.uploads[upload.upload_id]
        store.objects.add(upload.key, stored)

    return document(
        "CompleteMultipartUploadResult",
        element("Location", f"http://stub/{store.bucket}/{upload.key}"),
        element("Bucket", store.bucket),
        element("Key", upload.key),
        element("ETag", stored.etag),
        element("ChecksumCRC32", stored.checksum_headers.get("x-amz-checksum-crc32")),
        element("ChecksumType", stored.checksum_type),
        headers={"x-amz-version-id": stored.version_id} if stored.version_id else {},
        effect=finish,
    )


def _named_parts(body: bytes) -> list[Named]:
    try:
        root = ET.fromstring(body)  # noqa: S314  -- what our own client wrote
        named = [
            Named(
                int(part.findtext("{*}PartNumber", "")),
                part.findtext("{*}ETag", "").strip('"'),
                part.findtext("{*}ChecksumCRC32"),
            )
            for part in root.findall("{*}Part")
        ]
    except (ET.ParseError, ValueError):
        named = []
    if not named:
        raise Refused(400, "MalformedXML")
    return named


def _chosen(upload: Upload, named: list[Named]) -> list[Part]:
    """Return the parts that make the object, in order."""
    numbers = [part.number for part in named]
    if numbers != sorted(set(numbers)):
        raise Refused(400, "InvalidPartOrder")
    chosen = []
    for number, etag, crc in named:
        part = upload.parts.get(number)
        if part is None or part.etag.strip('"') != etag or crc not in {None, upload.crc_of(part)}:
            raise Refused(400, "InvalidPart")
        if crc is None and upload.checksum_type == "COMPOSITE":
            raise Refused(400, "InvalidRequest")
        chosen.append(part)
    if any(part.content.size < MIN_PART_BYTES for part in chosen[:-1]):
        raise Refused(400, "EntityTooSmall")
    return chosen


def abort(store: Store, asked: Asked) -> Reply:
    upload = store.upload_of(asked)

    def forget() -> None:
        del store.uploads[upload.upload_id]

    return head_only(status=204, effect=forget)
