"""What came of an archive that went into a file."""

from typing import NamedTuple

from bucketzip.terminal import MIB, printable
from bucketzip.wording import entries


class Saved(NamedTuple):
    """As programs are told it."""

    destination: str
    etag: str | None
    """None of a compressed one."""
    bytes: int
    entries: int
    from_byte: int
    """What was before it had been there."""
    compression: str
    level: int | None
    source_bytes: int
    ratio: float | None
    seconds: float
    state: str = "succeeded"

    def __str__(self) -> str:
        """For people."""
        took = f"in {self.seconds:.1f} s" + (f" ({self._rate:,.0f} MiB/s)" if self._rate >= 1 else "")
        said = f"{printable(self.destination)}: {entries(self.entries)}, {self.bytes:,} bytes, "
        return f"{said}{shrunk(self.ratio)}, {took}" if self.level else f"{said}{took}"

    @property
    def _rate(self) -> float:
        """MiB/s of content, which is not what was written of a compressed one; what was there counts by its share."""
        done = self.source_bytes * (self.bytes - self.from_byte) / self.bytes
        return done / MIB / max(self.seconds, 1e-3)


def ratio(archive_bytes: int, source_bytes: int) -> float | None:
    """How long an archive is beside its content, if there is any."""
    return round(archive_bytes / source_bytes, 4) if source_bytes else None


def shrunk(of: float | None) -> str:
    """The ratio of a compressed archive, in words."""
    return "of nothing" if of is None else f"{of:.1%} of its content"
