"""What a user may ask for: one model for downloads now and for all that follows."""

import hashlib
import json
import re
from enum import Enum
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from bucketzip.archive.deflated import Compression

MAX_SOURCES = 10_000
MAX_KEY_BYTES = 1024
MAX_FILENAME = 200
MAX_SESSION_TOKEN = 7 << 10
"""It is sent as a header, and S3 takes 8 KiB of all headers."""
DAY_SECONDS = 86_400

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


class Kind(Enum):
    """What a source's URL stands for."""

    FOLDER = "folder"
    """`s3://b`, `s3://b/a/`: what lies in it, by names relative to it."""
    EITHER = "either"
    """`s3://b/a`: the object `a`, or the folder `a/` with its name in front, or both."""
    PREFIX = "prefix"
    """`s3://b/a*`: every key that begins so."""


class Location(NamedTuple):
    """A source's URL, taken apart."""

    bucket: str
    key: str
    kind: Kind

    @property
    def url(self) -> str:
        """As the user wrote it."""
        return f"s3://{self.bucket}/{self.key}{'*' if self.kind is Kind.PREFIX else ''}"


def parse_url(url: str) -> Location:
    """Take `s3://bucket/key` apart; raises ValueError that says what is wrong. A key stands as it is, not %-encoded."""
    return _parse_url("source", url)


def parse_destination(url: str) -> tuple[str, str]:
    """Bucket and key of the one object that `s3://bucket/key` names; raises ValueError."""
    bucket, key, kind = _parse_url("destination", url)
    if kind is not Kind.EITHER:
        raise ValueError(f"a destination is one object: s3://bucket/key without a final slash or `*`, not {url!r}")
    return bucket, key


def _parse_url(what: str, url: str) -> Location:
    scheme, separator, rest = url.partition("://")
    if scheme.lower() != "s3" or not separator:
        raise ValueError(f"a {what} is written s3://bucket/key, not {url[:200]!r}")
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"{bucket[:200]!r} is not a bucket's name, in {url[:200]!r}")
    if len(key.removesuffix("*").encode()) > MAX_KEY_BYTES:
        raise ValueError(f"a key has at most {MAX_KEY_BYTES} bytes, not that of {url[:200]!r}...")
    if key.endswith("*"):
        return Location(bucket, key[:-1], Kind.PREFIX)
    return Location(bucket, key, Kind.FOLDER if not key or key.endswith("/") else Kind.EITHER)


Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SourceRequest(_Strict):
    """Objects to put into the archive."""

    url: str = Field(description="s3://bucket, s3://bucket/folder/, s3://bucket/key or s3://bucket/prefix*")
    include: list[Text] = Field(
        default=[], max_length=1000, description="Globs; only what matches one is taken. `**` crosses folders."
    )
    exclude: list[Text] = Field(default=[], max_length=1000, description="Globs; what matches one is left out.")
    name: Text | None = Field(
        default=None, description="Name in the archive, instead of the last part of an object's or a folder's URL."
    )
    prefix: Text | None = Field(default=None, description="Folder in the archive that this source goes into.")
    version_id: Text | None = Field(default=None, description="The version of one object.")

    @property
    def location(self) -> Location:
        """The URL, taken apart."""
        return parse_url(self.url)

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        parse_url(url)
        return url

    @model_validator(mode="after")
    def _fits(self) -> "SourceRequest":
        if self.location.kind is not Kind.EITHER:
            for field in ("name", "version_id"):
                if getattr(self, field) is not None:
                    raise ValueError(
                        f"`{field}` needs the URL of one object or folder, without a final slash or `*`; "
                        f"{self.url!r} is another"
                    )
        return self


def _as_source(source: object) -> object:
    return {"url": source} if isinstance(source, str) else source


class Rename(_Strict):
    """Another name for what lies in one folder of a bucket."""

    folder: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern="/$")] = Field(
        description="The bucket and the folder in it, with a final slash; `/` for all that no other folder names."
    )
    name: Annotated[str, StringConstraints(max_length=1024)] = Field(
        description="What stands in the archive instead of it; nothing for no folder at all."
    )


class RoleCredentials(_Strict):
    """A role that this server assumes, with the credentials it has itself."""

    role_arn: Annotated[str, StringConstraints(max_length=2048, pattern=r"^arn:[a-z-]+:iam::\d{12}:role/[!-~]+$")]
    external_id: Annotated[str, StringConstraints(min_length=2, max_length=1224, pattern=r"^[\w+=,.@:/-]+$")] | None = (
        None
    )


class KeyCredentials(_Strict):
    """The caller's own keys. They are kept encrypted, no longer than what they serve."""

    access_key_id: Annotated[str, StringConstraints(max_length=128, pattern=r"^\w+$")]
    secret_access_key: Annotated[SecretStr, Field(min_length=1, max_length=1024)]
    session_token: Annotated[SecretStr, Field(min_length=1, max_length=MAX_SESSION_TOKEN)] | None = None
    region: Annotated[str, StringConstraints(max_length=63, pattern="^[a-z]([a-z0-9-]*[a-z0-9])?$")] | None = None
    endpoint: Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^/?#@\s]+/?$")] | None = Field(
        default=None, description="Another S3 than AWS; only where the settings of this server allow it."
    )

    @field_validator("secret_access_key", "session_token")
    @classmethod
    def _fits_a_header(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not re.fullmatch("[!-~]+", secret.get_secret_value()):
            raise ValueError("has characters that no key or token has")
        return secret


class ZipRequest(_Strict):
    """What goes into an archive, by which names, read with whose credentials, and who is told of it."""

    sources: list[Annotated[SourceRequest, BeforeValidator(_as_source)]] = Field(
        min_length=1, max_length=MAX_SOURCES, description="s3:// URLs, or objects with a `url`."
    )
    root: Text | None = Field(default=None, description="A folder that everything in the archive goes into.")
    flatten: bool = Field(default=False, description="No folders: every object by the last part of its key.")
    on_missing: Literal["fail", "skip"] = Field(
        default="fail", description="What a missing source does; `skip` lists them in MISSING.txt in the archive."
    )
    compression: Literal["store", "deflate", "auto"] = Field(
        default="store",
        description="What is done with the bytes of objects: nothing, so that a download resumes, and S3 copies what "
        "goes into a bucket; `deflate` compresses them, and `auto` those that are worth it.",
    )
    level: Annotated[int, Field(ge=1, le=9)] = Field(
        default=3, description="How hard to compress: 1 is fastest, 9 smallest; from 4 on it is several times slower."
    )
    rename: list[Rename] = Field(
        default=[],
        max_length=1000,
        description="Folders that have other names in the archive than by their keys; of several the longest counts.",
    )
    max_bytes: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="An archive of objects with more bytes is refused."
    )
    max_entries: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="An archive of more objects is refused."
    )
    credentials: RoleCredentials | KeyCredentials | None = Field(
        default=None,
        exclude=True,  # a request is kept as JSON, and these are not: `state.sealed` has them
        description="Instead of this server's own: a role to assume, or keys.",
    )
    callback_url: Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s@]+$")] | None = Field(
        default=None, description="Where the end is told to, by a signed POST."
    )
    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+$")] | None = Field(
        default=None, description="Who gets a mail with the link."
    )

    @property
    def compressing(self) -> Compression | None:
        """How the archive is to be compressed; None for a stored one."""
        return None if self.compression == "store" else Compression(self.level, auto=self.compression == "auto")

    @property
    def digest(self) -> str:
        """The same for the same request, however it was written."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class DownloadRequest(ZipRequest):
    """One archive to stream."""

    filename: Annotated[str, StringConstraints(min_length=1, max_length=MAX_FILENAME)] = Field(
        default="archive.zip", description="What the browser calls it; `.zip` is added where it is missing."
    )
    expires_in: Annotated[int, Field(ge=60, le=365 * DAY_SECONDS)] = Field(
        default=DAY_SECONDS, description="Seconds for which the link works."
    )

    @field_validator("filename")
    @classmethod
    def _filename(cls, filename: str) -> str:
        if re.search(r"[\x00-\x1f\x7f/\\]", filename) or filename in {".", ".."}:
            raise ValueError("a file's name has no slash, backslash or control character")
        named = filename if filename.lower().endswith(".zip") else f"{filename}.zip"
        if len(named) > MAX_FILENAME:  # what is accepted here is kept, and read again after a restart
            raise ValueError(f"a file's name has at most {MAX_FILENAME} characters, `.zip` included")
        return named


JOB_METADATA = "bucketzip-job"
"""Name of the metadata that tells our object from any other of its key."""
MAX_TAGS = 10
MAX_METADATA_BYTES = 2048 - 64
"""S3 takes 2 KiB; `bucketzip-job` and its value need some of them."""

TagName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w +\-=.:/@]+$")]
TagValue = Annotated[str, StringConstraints(max_length=256, pattern=r"^[\w +\-=.:/@]*$")]
MetadataName = Annotated[str, StringConstraints(max_length=128, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
MetadataValue = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$")]


class ArchiveRequest(ZipRequest):
    """One archive to write into a bucket, and how S3 is to keep it."""

    destination: str = Field(description="s3://bucket/key of the archive.")
    if_exists: Literal["fail", "replace", "rename"] = Field(
        default="fail",
        description="What an object there does; `rename` puts ` (2)`, ` (3)` ... in front of the extension.",
    )
    storage_class: Annotated[str, StringConstraints(max_length=64, pattern="^[A-Z][A-Z0-9_]*$")] | None = Field(
        default=None, description="As S3 calls it; else STANDARD."
    )
    sse: Literal["AES256", "aws:kms"] | None = Field(
        default=None, description="How S3 encrypts it; else as the bucket says."
    )
    kms_key: Annotated[str, StringConstraints(max_length=2048, pattern="^[!-~]+$")] | None = Field(
        default=None, description="The key of KMS, for `sse: aws:kms`; else AWS's own."
    )
    acl: (
        Literal[
            "private",
            "public-read",
            "public-read-write",
            "authenticated-read",
            "aws-exec-read",
            "bucket-owner-read",
            "bucket-owner-full-control",
        ]
        | None
    ) = Field(default=None, description="One of S3's canned ACLs.")
    tags: dict[TagName, TagValue] = Field(default={}, max_length=MAX_TAGS, description="Tags of the object.")
    metadata: dict[MetadataName, MetadataValue] = Field(
        default={}, description=f"Metadata of the object, in ASCII, {MAX_METADATA_BYTES:,} bytes in all."
    )
    content_type: Annotated[
        str, StringConstraints(max_length=256, pattern=r"^[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+( *;[ -~]*)?$")
    ] = Field(default="application/zip", description="What the object is served as.")
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(
        default=0, description="Of queued jobs the one with the highest runs first, then the oldest."
    )

    link_expires_in: Annotated[int, Field(ge=60, le=365 * DAY_SECONDS)] = Field(
        default=7 * DAY_SECONDS, description="Seconds for which the result's link works, from the end of the job."
    )

    @property
    def bucket_and_key(self) -> tuple[str, str]:
        """The destination, taken apart."""
        return parse_destination(self.destination)

    @field_validator("destination")
    @classmethod
    def _destination(cls, url: str) -> str:
        parse_destination(url)
        return url

    @field_validator("tags")
    @classmethod
    def _tags(cls, tags: dict[str, str]) -> dict[str, str]:
        if any(name.lower().startswith("aws:") for name in tags):
            raise ValueError("tags that begin with `aws:` are AWS's own")
        return tags

    @field_validator("metadata")
    @classmethod
    def _metadata(cls, metadata: dict[str, str]) -> dict[str, str]:
        if JOB_METADATA in metadata:
            raise ValueError(f"`{JOB_METADATA}` is set by this server")
        if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA_BYTES:
            raise ValueError(f"metadata has at most {MAX_METADATA_BYTES:,} bytes in all")
        return metadata

    @model_validator(mode="after")
    def _key_fits(self) -> "ArchiveRequest":
        if self.kms_key is not None and self.sse != "aws:kms":
            raise ValueError("`kms_key` needs `sse` to be aws:kms")
        return self
