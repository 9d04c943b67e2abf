"""What checks need of S3 and of the machine. Everything raises our errors; `s3/examination.py` implements the first."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from bucketzip.plan.catalog import Listed


class Answered(NamedTuple):
    """How S3 answered a HEAD of the bucket."""

    exists: bool
    region: str
    """Empty where it is not told."""


class AbortRule(NamedTuple):
    """A lifecycle rule that aborts what nobody finished."""

    prefix: str
    days: int


class Unfinished(NamedTuple):
    """A multipart upload under way, or forgotten."""

    key: str
    upload_id: str
    begun_at: datetime


class Reached(NamedTuple):
    """An endpoint that took a connection."""

    addresses: Sequence[str]
    seconds: float


class Bucket(Protocol):
    """One bucket, as far as the credentials reach."""

    name: str

    async def head(self) -> Answered:
        """Never raises what S3 answers."""

    async def host(self) -> str:
        """Where its ranged GETs go; after `head`. Raises Unsupported where they cannot."""

    async def first(self, prefix: str) -> Sequence[Listed]:
        """The first page of its objects."""

    async def get(self, listed: Listed) -> None:
        """Read a byte of an object."""

    async def key_of(self, listed: Listed) -> str:
        """The ARN of the KMS key that an object is encrypted with; empty for none."""

    async def keeps_versions(self) -> bool: ...

    async def list_versions(self, prefix: str) -> None: ...

    async def attributes(self, listed: Listed) -> None: ...

    async def default_key(self) -> str | None:
        """The key of KMS that new objects are encrypted with, `aws/s3` for AWS's own; None for none."""

    async def abort_rules(self) -> Sequence[AbortRule]: ...

    def unfinished(self, prefix: str) -> AsyncIterator[Unfinished]:
        """Uploads under way, by keys."""

    async def unfinished_bytes(self, upload: Unfinished) -> int:
        """Of its first thousand parts."""

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    async def begin(self, key: str) -> str:
        """Begin an upload; its id."""

    async def put_part(self, key: str, upload_id: str) -> None:
        """A part of one byte."""

    async def list_parts(self, key: str, upload_id: str) -> None: ...

    async def abort(self, key: str, upload_id: str) -> None: ...

    async def why_not_copied(self, sample: Listed, into: str) -> str:
        """Why S3's copies cannot be used for a sample of it, copied into an upload in a bucket; empty if they can."""


class Endpoint(Protocol):
    """Where S3 is."""

    url: str
    is_aws: bool
    has_sts: bool
    """Whether the settings name an STS for it."""

    async def reach(self) -> Reached:
        """Connect to it, with TLS where it has that; raises S3Unreachable."""

    async def addresses(self, host: str) -> Sequence[str]:
        """What a host's name stands for."""

    async def date(self) -> float | None:
        """The time by S3's clock, in seconds since 1970; however it answers. None where it does not tell."""

    async def sign(self) -> None:
        """Ask for something that need not be allowed; raises what S3 has against the keys themselves."""


class Instance(Protocol):
    """This machine, if it is one of EC2."""

    async def metadata(self, path: str) -> str | None:
        """What the metadata service tells; None where it is not there, or has no such thing."""


class Whoami(Protocol):
    """Whose the credentials are."""

    @property
    def method(self) -> str:
        """Where they come from, as botocore calls it."""

    @property
    def expire_at(self) -> float | None:
        """In seconds since 1970, where that is known."""

    def key_id(self) -> str:
        """The access key; raises why there is none."""

    async def principal(self) -> str:
        """The ARN of the user or role, by STS."""
