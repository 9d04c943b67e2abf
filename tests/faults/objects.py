"""What the lying store keeps: objects with their versions and stored checksums."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from isal.isal_zlib import crc32

from tests.faults.checksums import ChecksumType, composite_of, crc_of, encoded
from tests.faults.content import Content, Given, slice_of

LAST_CHARACTER = "\U0010ffff"
WRITTEN_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CHECKSUM_TYPES: Mapping[str | None, ChecksumType | None] = {"full": "FULL_OBJECT", "composite": "COMPOSITE", None: None}


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One version of an object. CRCs are computed when somebody asks, once."""

    content: Content
    etag: str  # with its quotes
    version_id: str | None = None  # None is what S3 calls "null"
    last_modified: datetime = WRITTEN_AT
    headers: Mapping[str, str] = field(default_factory=dict)
    checksum_type: ChecksumType | None = None  # of the CRC32 that is stored with it; None where there is none
    part_sizes: tuple[int, ...] = ()  # of the multipart upload it came by; () for an object put in one piece

    @cached_property
    def crc(self) -> int:
        return crc_of(self.content)

    @cached_property
    def part_crcs(self) -> tuple[int, ...]:
        stops = list(itertools.accumulate(self.part_sizes))
        starts = [0, *stops]
        return tuple(crc_of(slice_of(self.content, start, stop)) for start, stop in zip(starts, stops, strict=False))

    @property
    def checksum(self) -> str | None:
        """The stored CRC32 in base64, of the bytes or of the parts' CRCs; None where none is stored."""
        if self.checksum_type is None:
            return None
        return encoded(self.crc if self.checksum_type == "FULL_OBJECT" else composite_of(self.part_crcs))

    @property
    def checksum_headers(self) -> dict[str, str]:
        """What HEAD and Complete tell; a value of parts has their number behind it."""
        if self.checksum is None or self.checksum_type is None:
            return {}
        number = f"-{len(self.part_sizes)}" if self.checksum_type == "COMPOSITE" else ""
        return {"x-amz-checksum-crc32": self.checksum + number, "x-amz-checksum-type": self.checksum_type}


@dataclass(frozen=True, slots=True)
class DeleteMarker:
    version_id: str | None
    last_modified: datetime = WRITTEN_AT


Version = StoredObject | DeleteMarker


class Objects:
    """One bucket. A second put of a key under another version leaves the first one readable by its version.

    With `versioned`, each put makes a version of its own, and a deletion leaves a marker.
    """

    def __init__(self, *, versioned: bool = False) -> None:
        self.versioned = versioned
        self._current: dict[str, StoredObject] = {}
        self._history: dict[str, list[Version]] = {}  # oldest first
        self._sorted: list[str] | None = None
        self._sorted_history: list[str] | None = None
        self._numbers = itertools.count(1)

    def put(
        self,
        key: str,
        content: bytes | Content,
        *,
        etag: str | None = None,
        version_id: str | None = None,
        last_modified: datetime = WRITTEN_AT,
        headers: Mapping[str, str] | None = None,
        crc: Literal["full", "composite"] | None = None,
        part_bytes: int | None = None,
    ) -> StoredObject:
        """Store an object, with a CRC32 of that type if `crc` says so.

        With `part_bytes` it came by a multipart upload in parts of that size; a composite CRC needs that.
        """
        if isinstance(content, bytes):
            content = Given(content)
        if crc == "composite" and part_bytes is None:
            raise ValueError("a composite CRC is one of parts: part_bytes is missing")
        sizes: list[int] = []
        if part_bytes is not None:
            sizes = [min(part_bytes, content.size - start) for start in range(0, content.size, part_bytes)] or [0]
        stored = StoredObject(
            content=content,
            etag=etag or etag_of(content, len(sizes)),
            version_id=version_id or self.next_version_id(),
            last_modified=last_modified,
            headers=headers or {},
            checksum_type=CHECKSUM_TYPES[crc],
            part_sizes=tuple(sizes),
        )
        self.add(key, stored)
        return stored

    def add(self, key: str, stored: StoredObject) -> None:
        if key not in self._current:
            self._sorted = None
        self._current[key] = stored
        self._remember(key, stored)

    def delete(self, key: str) -> None:
        """Delete the current version: for good, or behind a marker where there are versions."""
        gone = self._current.pop(key)
        self._sorted = None
        if self.versioned or gone.version_id is not None:
            self._remember(key, DeleteMarker(self.next_version_id() or f"marker-{next(self._numbers)}"))
        else:
            self._history[key].remove(gone)

    def next_version_id(self) -> str | None:
        return f"version-{next(self._numbers)}" if self.versioned else None

    def find(self, key: str, version_id: str | None) -> StoredObject | None:
        found = self.find_version(key, version_id)
        return found if isinstance(found, StoredObject) else None

    def find_version(self, key: str, version_id: str | None) -> Version | None:
        """Return what is there, be it a delete marker; the newest without a version, "null" for one without an id."""
        history = self._history.get(key, [])
        if version_id is None:
            return history[-1] if history else None
        wanted = None if version_id == "null" else version_id
        return next((version for version in history if version.version_id == wanted), None)

    def page(
        self, prefix: str, delimiter: str, after: str, limit: int
    ) -> tuple[list[tuple[str, StoredObject]], list[str], str]:
        """Return keys and common prefixes behind `after`, and where the next page goes on ("" at the end)."""
        if self._sorted is None:
            self._sorted = sorted(self._current)  # by code point, which is the order of the UTF-8 bytes too
        keys = self._sorted
        objects: list[tuple[str, StoredObject]] = []
        folders: list[str] = []
        position = max(bisect_left(keys, prefix), bisect_right(keys, after))
        last = after
        while position < len(keys) and keys[position].startswith(prefix):
            if len(objects) + len(folders) == limit:
                return objects, folders, last
            key = keys[position]
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if found:
                folders.append(prefix + head + delimiter)
                last = prefix + head + delimiter + LAST_CHARACTER
                position = bisect_right(keys, last)
            else:
                objects.append((key, self._current[key]))
                last = key
                position += 1
        return objects, folders, ""

    def versions(self, prefix: str, first: str) -> Iterator[tuple[str, list[Version]]]:
        """Yield keys from `first` on that begin with `prefix`, each with all its versions, newest first."""
        if self._sorted_history is None:
            self._sorted_history = sorted(self._history)
        keys = self._sorted_history
        for position in range(bisect_left(keys, max(prefix, first)), len(keys)):
            if not keys[position].startswith(prefix):
                return
            yield keys[position], self._history[keys[position]][::-1]

    def _remember(self, key: str, version: Version) -> None:
        if key not in self._history:
            self._sorted_history = None
        others = [other for other in self._history.get(key, []) if other.version_id != version.version_id]
        self._history[key] = [*others, version]


def etag_of(content: Content, parts: int = 0) -> str:
    seen = content.data if isinstance(content, Given) else repr(content).encode()
    return quoted_etag([seen], parts)


def quoted_etag(pieces: Iterable[bytes], parts: int = 0) -> str:
    """Return an ETag that looks like those of S3; `parts` is the number behind that of a multipart upload.

    Not an MD5, which an ETag of S3's need not be either: that takes 35 times as long, a tenth of all that tests of jobs
    do.
    """
    seen = b"".join(pieces)
    digest = f"{crc32(seen):08x}{len(seen):024x}"
    return f'"{digest}-{parts}"' if parts else f'"{digest}"'
