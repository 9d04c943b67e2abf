"""What jobs need of S3, written by the one who uses it and implemented by `s3/multipart.py`. All raise our errors."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from bucketzip.archive.manifest import Source
from bucketzip.transfer.ports import LabelledCounter, Observer

IfExists = Literal["fail", "replace", "rename"]


class Destination(NamedTuple):
    """Where the archive goes."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        """For people."""
        return f"s3://{self.bucket}/{self.key}"


class Options(NamedTuple):
    """How S3 is to keep it; what is empty is left to S3."""

    storage_class: str = ""
    sse: str = ""
    """AES256 or aws:kms."""
    kms_key: str = ""
    acl: str = ""
    content_type: str = "application/zip"
    tags: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    if_exists: IfExists = "fail"


class Upload(NamedTuple):
    """A multipart upload under way."""

    destination: Destination
    upload_id: str
    checksums: bool
    """Whether the endpoint took it as one with a CRC-32 of the full object."""
    perhaps_twice: bool = False
    """Whether another one may have been begun for it: an answer was lost."""


class Done(NamedTuple):
    """A part that S3 has."""

    etag: str
    """Without quotes."""
    size: int
    crc: int


class Finished(NamedTuple):
    """An object as it stands in the bucket."""

    etag: str
    """Without quotes."""
    size: int
    version_id: str = ""
    crc: int | None = None
    """CRC-32 of the whole, where S3 keeps it."""


class Made(NamedTuple):
    """The object that a job made."""

    destination: Destination
    version_id: str
    token: str
    """In its metadata."""


class Follow(NamedTuple):
    """How an object is to be had by a URL alone."""

    method: Literal["GET", "HEAD"]
    disposition: str
    """The Content-Disposition of the answer."""
    seconds: int
    """For which the URL works, at most."""


class CopyProof(NamedTuple):
    """Whether S3 may copy from a bucket, and why not."""

    proven: bool
    reason: str


class Observed(Protocol):
    """Something measured, a label value."""

    def labels(self, value: str, /) -> Observer: ...


class JobMetrics(NamedTuple):
    """What jobs tell of themselves."""

    ended: LabelledCounter
    """By the state that they ended in."""
    seconds: Observed
    """Of work, by the same."""
    sent_bytes: LabelledCounter
    """By way: `copied`, `built`, `compressed`."""


class Multipart(Protocol):
    """Multipart uploads."""

    async def create(self, destination: Destination, options: Options, token: str) -> Upload:
        """Begin one. The token goes into the object's metadata: it tells our object from any other of that key."""

    async def find(self, destination: Destination, since: float) -> list[str]:
        """The ids of all uploads to exactly this key begun since `since`, by this machine's clock; not aborted yet."""

    async def copy(self, upload: Upload, number: int, source: Source, part: tuple[int, int], *, whole: bool) -> Done:
        """Have S3 copy bytes `[start, stop)` of an object as part `number`; `whole` tells that these are all it has.

        Raises SourceChanged, and Unsupported where S3 tells no CRC-32 of the copy.
        """

    async def put(self, upload: Upload, number: int, body: memoryview, crc: int) -> Done:
        """Send part `number`."""

    async def listed(self, upload: Upload) -> dict[int, set[tuple[str, int]]]:
        """(ETag without quotes, size) of what S3 has, by part number; a part sent twice may be there twice."""

    async def complete(
        self, upload: Upload, parts: Sequence[tuple[int, Done]], *, crc: int, size: int, options: Options, token: str
    ) -> Finished:
        """Make the object of its parts, and see that it is the one that was meant: token, size and CRC-32.

        An answer that was lost is found out about by the object itself. Raises DestinationExists.
        """

    async def abort(self, upload: Upload) -> None:
        """Forget the upload and all its parts; it may be gone already."""

    async def look(self, destination: Destination) -> Finished | None:
        """What is there now."""

    async def signed_url(self, made: Made, follow: Follow) -> str:
        """A URL by which anybody may have the object for a while, while our keys live.

        Raises NoSuchObject where it is not there any more, or another one is.
        """

    async def may_copy(self, sample: Source, size: int, destination: Destination) -> CopyProof:
        """Whether copies of ranges of the sample's bucket into that of the destination come out right; proven once."""
