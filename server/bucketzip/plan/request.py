"""What a user may ask for: one model for downloads now and for all that follows."""

import re
from enum import Enum
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator

MAX_SOURCES = 10_000
MAX_KEY_BYTES = 1024
MAX_FILENAME = 200
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
    scheme, separator, rest = url.partition("://")
    if scheme.lower() != "s3" or not separator:
        raise ValueError(f"a source is written s3://bucket/key, not {url[:200]!r}")
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


class DownloadRequest(_Strict):
    """One archive to stream."""

    sources: list[Annotated[SourceRequest, BeforeValidator(_as_source)]] = Field(
        min_length=1, max_length=MAX_SOURCES, description="s3:// URLs, or objects with a `url`."
    )
    filename: Annotated[str, StringConstraints(min_length=1, max_length=MAX_FILENAME)] = Field(
        default="archive.zip", description="What the browser calls it; `.zip` is added where it is missing."
    )
    root: Text | None = Field(default=None, description="A folder that everything in the archive goes into.")
    flatten: bool = Field(default=False, description="No folders: every object by the last part of its key.")
    on_missing: Literal["fail", "skip"] = Field(
        default="fail", description="What a missing source does; `skip` lists them in MISSING.txt in the archive."
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
