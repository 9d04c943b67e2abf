"""What S3 answers about multipart uploads under way: the parts of one, and which there are."""

from itertools import islice

from tests.faults.asked import Asked
from tests.faults.documents import document, element
from tests.faults.http_reply import Reply
from tests.faults.store import Part, Store, Upload


def list_parts(store: Store, asked: Asked, most: int) -> Reply:
    upload = store.upload_of(asked)
    limit = min(most, int(asked.query.get("max-parts", most)))
    marker = int(asked.query.get("part-number-marker", 0))
    behind = sorted(number for number in upload.parts if number > marker)
    page = behind[:limit]
    return document(
        "ListPartsResult",
        element("Bucket", store.bucket),
        element("Key", upload.key),
        element("UploadId", upload.upload_id),
        element("PartNumberMarker", marker),
        element("NextPartNumberMarker", page[-1] if page else 0),
        element("MaxParts", limit),
        element("IsTruncated", 0 < len(page) < len(behind)),
        element("ChecksumAlgorithm", upload.checksum_type and "CRC32"),
        element("ChecksumType", upload.checksum_type),
        *(_part(upload, number, upload.parts[number]) for number in page),
        element("StorageClass", "STANDARD"),
    )


def list_multipart_uploads(store: Store, asked: Asked, most: int) -> Reply:
    """By key, and of one key by age; `prefix` narrows it. No delimiter, no encoding-type."""
    limit = min(most, int(asked.query.get("max-uploads", most)))
    prefix = asked.query.get("prefix", "")
    key_marker, id_marker = asked.query.get("key-marker", ""), asked.query.get("upload-id-marker", "")
    uploads = sorted(
        (upload for upload in store.uploads.values() if upload.key.startswith(prefix)),
        key=lambda upload: (upload.key, upload.initiated),
    )
    marked = store.uploads.get(id_marker)
    begin = uploads.index(marked) + 1 if marked in uploads else 0
    behind = (upload for upload in uploads[begin:] if begin or upload.key > key_marker)
    found = list(islice(behind, limit + 1))
    page, goes_on = found[:limit], 0 < limit < len(found)
    return document(
        "ListMultipartUploadsResult",
        element("Bucket", store.bucket),
        element("Prefix", prefix),
        element("KeyMarker", key_marker),
        element("UploadIdMarker", id_marker),
        element("NextKeyMarker", page[-1].key if goes_on else ""),
        element("NextUploadIdMarker", page[-1].upload_id if goes_on else ""),
        element("MaxUploads", limit),
        element("IsTruncated", goes_on),
        *map(_upload, page),
    )


def _part(upload: Upload, number: int, part: Part) -> str:
    described = [
        element("PartNumber", number),
        element("LastModified", part.last_modified),
        element("ETag", part.etag),
        element("Size", part.content.size),
        element("ChecksumCRC32", upload.crc_of(part)),
    ]
    return f"<Part>{''.join(described)}</Part>"


def _upload(upload: Upload) -> str:
    described = [
        element("Key", upload.key),
        element("UploadId", upload.upload_id),
        "<Initiator><ID>stub</ID></Initiator>",
        element("StorageClass", "STANDARD"),
        element("Initiated", upload.initiated),
        element("ChecksumAlgorithm", upload.checksum_type and "CRC32"),
        element("ChecksumType", upload.checksum_type),
    ]
    return f"<Upload>{''.join(described)}</Upload>"
