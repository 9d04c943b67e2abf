"""What the ranged reader is given: what it tells of itself, and how hard it tries."""

from dataclasses import dataclass
from typing import Protocol

from bucketzip.transfer.ports import Counter, Observer


class Labelled(Protocol):
    """A counter a label value."""

    def labels(self, value: str, /) -> Counter: ...


@dataclass(frozen=True)
class ReaderMetrics:
    """What the reader tells of itself."""

    seconds: Observer
    """From the request to the last byte."""
    outcomes: Labelled
    """Answered requests by outcome: ok, or our error's code."""
    retries: Labelled
    """By reason."""
    received_bytes: Counter
    hedges: Counter
    """Second requests for bytes that were late."""
    hedges_won: Counter


@dataclass(frozen=True)
class ReaderLimits:
    """How hard the reader tries."""

    connections: int = 64
    tries: int = 8
    stall_seconds: float = 10.0
    """A connection that brings no byte for so long is given up, and the read goes on over another."""
    slow_down_seconds: float = 120.0
    """S3 may say SlowDown to a read for so long before it is given up."""
    hedging: float = 0.03
    """How many requests more there may be for what is late, for each that is answered; 0 for none."""
