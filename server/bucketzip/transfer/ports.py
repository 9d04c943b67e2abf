"""What `transfer` needs of the outside, written by the one who uses it."""

from collections.abc import Sequence
from typing import Protocol

from bucketzip.archive.manifest import Source
from bucketzip.transfer.fetch import Fetch, Piece


class RangeReader(Protocol):
    """Reads ranges, many at once. It calls back only from the event loop, never from within `start` or `cancel`."""

    def start(self, fetch: Fetch) -> None:
        """Begin to fill the fetch. Retries are the reader's own; `fetch.error` is final."""

    def cancel(self, fetch: Fetch) -> None:
        """Stop at once, on the wire too: on return nothing writes into the fetch any more."""


class Sink(Protocol):
    """Where the archive's bytes go, in order."""

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Send the pieces. On return nobody but the caller holds a view of them, so their memory may be used again."""

    def unsent_bytes(self) -> int:
        """Bytes of the current write that the other side has not taken yet."""

    def abort(self) -> None:
        """Break the connection, so that nobody takes what was sent for the whole."""


class CrcMemory(Protocol):
    """CRCs of object versions, from earlier downloads."""

    async def recall(self, objects: Sequence[tuple[Source, int]]) -> list[int | None]:
        """The CRC of each (object, size), where it is known."""

    async def keep(self, learned: Sequence[tuple[Source, int, int]]) -> None:
        """Keep the CRC of each (object, size, CRC)."""

    async def refuted(self, objects: Sequence[tuple[Source, int]]) -> list[bool]:
        """Whether each (object, size) was found to have another CRC than was told of it."""

    async def refute(self, source: Source, size: int) -> None:
        """Note that an object was read and had another CRC than was told of it."""


class RemoteCrcs(Protocol):
    """CRCs that S3 computes itself: no byte of the object comes here."""

    @property
    def quick(self) -> bool:
        """Whether it takes no longer than reading would, as far as was seen."""

    async def proven(self, sample: Source, size: int) -> bool:
        """Whether it does so, and rightly, for objects of the sample's bucket. It may be tried with the sample."""

    async def compute(self, objects: Sequence[tuple[Source, int]]) -> list[int | None]:
        """The CRC of each (object, size), of a bucket that is `proven`; None where it could not be had."""


class Observer(Protocol):
    """Something measured."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None, /) -> None:
        """Note one value; labels that name what was measured are kept for some of them."""


class Counter(Protocol):
    """Something counted."""

    def inc(self, amount: float = 1, /) -> None:
        """Count on."""


class LabelledCounter(Protocol):
    """A counter a label value."""

    def labels(self, value: str, /) -> Counter:
        """That of the value."""
