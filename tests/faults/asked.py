"""A request to the lying store, and the name that S3's API reference has for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

# What in the query makes an operation of its own, in the order in which it is looked for.
ON_BUCKET = {
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "versioning"): "GetBucketVersioning",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "lifecycle"): "GetBucketLifecycleConfiguration",
    ("GET", "encryption"): "GetBucketEncryption",
    ("HEAD", ""): "HeadBucket",
}
ON_OBJECT = {
    ("GET", "attributes"): "GetObjectAttributes",
    ("GET", "uploadId"): "ListParts",
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("PUT", "uploadId"): "UploadPart",
    ("PUT", ""): "PutObject",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("DELETE", ""): "DeleteObject",
}


@dataclass(slots=True)
class Asked:
    """One request: what the client asked for, and how the answer went."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    finished: bool = False  # the whole answer was handed to the kernel
    client_left: bool = False  # it went before that
    bucket: str = field(init=False)
    key: str = field(init=False)
    query: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        path, _, query = self.target.partition("?")
        bucket, _, key = path.removeprefix("/").partition("/")
        self.bucket, self.key = unquote(bucket), unquote(key)
        self.query = dict(parse_qsl(query, keep_blank_values=True))

    @property
    def operation(self) -> str:
        """As the API reference names it: "GetObject", "UploadPartCopy"; "" for none that the store knows."""
        if not self.bucket:
            return "ListBuckets" if self.method == "GET" else ""
        for (method, parameter), name in (ON_OBJECT if self.key else ON_BUCKET).items():
            if method == self.method and (not parameter or parameter in self.query):
                copies = name in {"UploadPart", "PutObject"} and "x-amz-copy-source" in self.headers
                return {"UploadPart": "UploadPartCopy", "PutObject": "CopyObject"}[name] if copies else name
        return ""
