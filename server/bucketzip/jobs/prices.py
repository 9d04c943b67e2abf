"""What requests cost by AWS's list: us-east-1, S3 Standard, https://aws.amazon.com/s3/pricing/ as of November 2026.

Requests alone: no storage, no traffic, no KMS, and no retrieval from other storage classes.
"""

from collections.abc import Mapping

WRITE_USD = 0.005 / 1000
"""PUT, COPY, POST and LIST."""
OTHER_USD = 0.0004 / 1000
"""GET and all others."""
_WRITES = frozenset(
    {
        "CompleteMultipartUpload",
        "CreateMultipartUpload",
        "ListMultipartUploads",
        "ListObjectVersions",
        "ListObjectsV2",
        "ListParts",
        "UploadPart",
        "UploadPartCopy",
    }
)
_FREE = frozenset({"AbortMultipartUpload"})
"""DELETE and CANCEL."""


def list_price_usd(requests: Mapping[str, int]) -> float:
    """The price of so many requests, by their names in the API reference."""
    writes = sum(count for operation, count in requests.items() if operation in _WRITES)
    others = sum(count for operation, count in requests.items() if operation not in _WRITES | _FREE)
    return round(writes * WRITE_USD + others * OTHER_USD, 7)
