"""What S3 answers: objects, versions, listings, checksums, multipart uploads. No signatures are looked at.

Written after the S3 API reference; a lie in `lies.py` changes what comes from here.
"""

from collections.abc import Callable, Mapping

from tests.faults import honest_listings, honest_multipart, honest_reads, honest_upload_listings
from tests.faults.asked import Asked
from tests.faults.documents import Refused, error
from tests.faults.http_reply import Reply
from tests.faults.store import Store

__all__ = ["PAGE_KEYS", "Asked", "answer", "error"]

PAGE_KEYS = 1000
ANSWERS: Mapping[str, Callable[[Store, Asked], Reply]] = {
    "HeadBucket": honest_listings.head_bucket,
    "GetBucketVersioning": honest_listings.get_bucket_versioning,
    "HeadObject": honest_reads.get_object,
    "GetObject": honest_reads.get_object,
    "GetObjectAttributes": honest_reads.get_object_attributes,
    "CreateMultipartUpload": honest_multipart.create,
    "UploadPart": honest_multipart.upload_part,
    "UploadPartCopy": honest_multipart.upload_part_copy,
    "CompleteMultipartUpload": honest_multipart.complete,
    "AbortMultipartUpload": honest_multipart.abort,
}
PAGES: Mapping[str, Callable[[Store, Asked, int], Reply]] = {
    "ListObjectsV2": honest_listings.list_objects_v2,
    "ListObjectVersions": honest_listings.list_object_versions,
    "ListParts": honest_upload_listings.list_parts,
    "ListMultipartUploads": honest_upload_listings.list_multipart_uploads,
}


def answer(store: Store, asked: Asked) -> Reply:
    """Say what S3 would; the store changes only when the effect of the reply is called."""
    if asked.operation == "ListBuckets":
        return honest_listings.list_buckets(store)
    if asked.bucket != store.bucket:
        return error(404, "NoSuchBucket")
    try:
        if asked.operation in ANSWERS:
            return ANSWERS[asked.operation](store, asked)
        if asked.operation in PAGES:
            return PAGES[asked.operation](store, asked, PAGE_KEYS)
    except Refused as refused:
        return refused.reply
    return error(501, "NotImplemented")
