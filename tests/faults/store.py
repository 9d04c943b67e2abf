"""All that the lying store holds: one bucket, and the multipart uploads under way in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from tests.faults.asked import Asked
from tests.faults.checksums import ChecksumType, crc_of, encoded
from tests.faults.content import Content
from tests.faults.documents import Refused
from tests.faults.objects import Objects, etag_of


@dataclass(frozen=True)
class Part:
    content: Content
    last_modified: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def etag(self) -> str:
        return etag_of(self.content)

    @cached_property
    def crc(self) -> int:
        return crc_of(self.content)


@dataclass(slots=True)
class Upload:
    """A multipart upload, by part number what it has. `checksum_type` is None for one created without CRC32."""

    upload_id: str
    key: str
    checksum_type: ChecksumType | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    initiated: datetime = field(default_factory=lambda: datetime.now(UTC))
    parts: dict[int, Part] = field(default_factory=dict)

    def crc_of(self, part: Part) -> str | None:
        """The CRC32 of a part in base64; an upload without checksums has none."""
        return encoded(part.crc) if self.checksum_type else None


@dataclass(slots=True)
class Store:
    bucket: str
    objects: Objects = field(default_factory=Objects)
    uploads: dict[str, Upload] = field(default_factory=dict)  # neither completed nor aborted, by id

    def upload_of(self, asked: Asked) -> Upload:
        upload = self.uploads.get(asked.query["uploadId"])
        if upload is None or upload.key != asked.key:
            raise Refused(404, "NoSuchUpload")
        return upload
