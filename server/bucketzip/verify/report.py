"""What a check found."""

from dataclasses import dataclass, field
from typing import NamedTuple

from bucketzip.verify.fields import first_difference


class Difference(NamedTuple):
    """Something in the file that is not as announced."""

    entry: str | None
    """Its name; None where it is about the archive as a whole."""
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = "" if self.entry is None else f"{self.entry}: "
        return f"{where}{self.what}: expected {self.expected}, found {self.found}"


@dataclass
class Report:
    """All that is known after a check; of the differences the first `show`."""

    show: int
    file_bytes: int
    announced_bytes: int | None
    """None of a compressed archive, of which nobody knew it."""
    announced_entries: int
    checked_entries: int = 0
    crcs_from_directory: int = 0
    """Entries whose CRC the server did not know yet; their bytes were compared with the archive's own directory."""
    differences: list[Difference] = field(default_factory=list)
    difference_count: int = 0

    @property
    def missing_bytes(self) -> int:
        """How much of the download is not there."""
        return 0 if self.announced_bytes is None else max(self.announced_bytes - self.file_bytes, 0)

    def add(self, entry: str | None, what: str, expected: object, found: object) -> None:
        """Note a difference."""
        self.difference_count += 1
        if len(self.differences) < self.show:
            self.differences.append(Difference(entry, what, str(expected), str(found)))

    def compare(self, entry: str | None, kind: str, expected: bytes, found: bytes) -> None:
        """Note in which field a record differs from what it should be, if it does."""
        if expected != found:
            difference = first_difference(kind, expected, found, entry)
            self.add(entry, f"{kind}, {difference.field}", difference.expected, difference.found)
