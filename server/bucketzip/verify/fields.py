"""Which field of a ZIP record is not as it should be, for people. Named after PKWARE's APPNOTE."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_END = (
    "end signature:4 disk:2 directory disk:2 entries on disk:2 entries:2 directory size:4 directory offset:4 "
    "comment length:2"
)
_FIELDS = {
    "local header": "signature:4 version:2 flags:2 method:2 time:2 date:2 CRC-32:4 compressed size:4 size:4 "
    "name length:2 extra length:2",
    "descriptor": "signature:4 CRC-32:4 compressed size:4 size:4",
    "Zip64 descriptor": "signature:4 CRC-32:4 compressed size:8 size:8",
    "directory record": "signature:4 made by:2 version:2 flags:2 method:2 time:2 date:2 CRC-32:4 compressed size:4 "
    "size:4 name length:2 extra length:2 comment length:2 disk:2 internal attributes:2 external attributes:4 "
    "offset:4",
    "end record": _END,
    "Zip64 end records": "signature:4 record size:8 made by:2 version:2 disk:4 directory disk:4 entries on disk:8 "
    "entries:8 directory size:8 directory offset:8 locator signature:4 disk of end record:4 end record offset:8 "
    f"disks:4 {_END}",
}
"""The fields of fixed length that each kind of record begins with, and their bytes; then come name and extra fields."""


class FieldDifference(NamedTuple):
    """A field, what it should hold and what it holds."""

    field: str
    expected: str
    found: str


def first_difference(kind: str, expected: bytes, found: bytes, name: str | None) -> FieldDifference:
    """The first field in which two records of a kind differ; `found` may be short, where the file ends."""
    for field, start, stop in _places(kind, len(expected), len((name or "").encode())):
        if expected[start:stop] != found[start:stop]:
            return FieldDifference(field, _shown(field, expected[start:stop]), _shown(field, found[start:stop]))
    raise ValueError("the records are the same")


def _places(kind: str, length: int, name_bytes: int) -> Iterator[tuple[str, int, int]]:
    start = 0
    for field, _, width in (each.rpartition(":") for each in re.split(r"(?<=\d) ", _FIELDS[kind])):
        yield field, start, start + int(width)
        start += int(width)
    yield "name", start, start + name_bytes
    yield "extra fields", start + name_bytes, length


def _shown(field: str, raw: bytes) -> str:
    if not raw:
        return "nothing"
    if field == "name":
        return raw.decode(errors="backslashreplace")
    if field == "CRC-32":
        return raw[::-1].hex()
    if field == "extra fields" or "signature" in field:
        return raw.hex(" ")
    return str(int.from_bytes(raw, "little"))
