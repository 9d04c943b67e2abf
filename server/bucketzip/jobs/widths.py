"""How much is done side by side, by all jobs of a process together."""

import asyncio
from dataclasses import dataclass
from typing import Self

from bucketzip.jobs.room import Room

COPIES_AT_ONCE = 16
READS_AT_ONCE = 2
BUILDS_AT_ONCE = 2 * READS_AT_ONCE
"""While as many are read, as many that were are sent."""
LONGEST_AT_ONCE = 2
"""Built parts are made in memory: fewer of them where they are as long as may be."""
COMPRESSED_AT_ONCE = 4
"""Parts of compressed archives: one is filled while the others go up, in memory too."""


@dataclass(frozen=True)
class Widths:
    """Who makes a part has one of these meanwhile."""

    copies: asyncio.Semaphore
    room: Room
    """For parts that are built."""
    reads: asyncio.Semaphore
    """Of these, those whose content is not there yet."""
    compressed: asyncio.Semaphore

    @classmethod
    def of(cls, part_bytes: int) -> Self:
        """With memory for built parts of so many bytes."""
        return cls(
            asyncio.Semaphore(COPIES_AT_ONCE),
            Room(BUILDS_AT_ONCE, LONGEST_AT_ONCE * part_bytes),
            asyncio.Semaphore(READS_AT_ONCE),
            asyncio.Semaphore(COMPRESSED_AT_ONCE),
        )
