"""boto3's `ExtraArgs` of an upload, as fields of a request for an archive."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

FIELDS = {
    "ACL": "acl",
    "ContentType": "content_type",
    "Metadata": "metadata",
    "SSEKMSKeyId": "kms_key",
    "ServerSideEncryption": "sse",
    "StorageClass": "storage_class",
    "Tagging": "tags",
}
CHECKSUM = "ChecksumAlgorithm"
"""S3 is always asked to keep a CRC-32, so that one may be asked for."""
CHECKSUM_VALUE = "CRC32"


def as_fields(extra_args: Mapping[str, Any]) -> dict[str, Any]:
    """What to ask for; raises ValueError that names what cannot be asked for. The request checks the values."""
    unknown = sorted(set(extra_args) - {*FIELDS, CHECKSUM})
    if unknown:
        known = ", ".join(sorted([*FIELDS, CHECKSUM]))
        raise ValueError(f"extra_args: {', '.join(map(str, unknown))}: not known here; what may be given is {known}")
    if extra_args.get(CHECKSUM, CHECKSUM_VALUE) != CHECKSUM_VALUE:
        raise ValueError(f"extra_args: {CHECKSUM}: archives have {CHECKSUM_VALUE}, not {extra_args[CHECKSUM]!r}")
    return {FIELDS[name]: _VALUES.get(name, _as_it_is)(value) for name, value in extra_args.items() if name in FIELDS}


def spelt(field: str) -> str | None:
    """How boto3 calls a field of the request; None for the others."""
    return next((name for name, known in FIELDS.items() if known == field), None)


def _as_it_is(value: Any) -> Any:
    return value


def _metadata(value: Any) -> Any:
    """S3 keeps the names in lower case."""
    return {str(name).lower(): text for name, text in value.items()} if isinstance(value, Mapping) else value


def _tags(value: Any) -> Any:
    """`name=value&other=value`, with both percent-encoded."""
    if not isinstance(value, str):
        return value
    try:
        pairs = parse_qsl(value, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise ValueError(f"extra_args: Tagging: is written name=value&other=value ({error})") from error
    if len(dict(pairs)) < len(pairs):
        raise ValueError("extra_args: Tagging: the same name twice")
    return dict(pairs)


_VALUES: dict[str, Callable[[Any], Any]] = {"Metadata": _metadata, "Tagging": _tags}
