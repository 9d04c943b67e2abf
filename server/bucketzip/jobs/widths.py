"""How much is done side by side, by all jobs of a process together."""

import asyncio
from dataclasses import dataclass, field

COPIES_AT_ONCE = 16
BUILDS_AT_ONCE = 2
"""A built part is made in memory."""
COMPRESSED_AT_ONCE = 4
"""Parts of compressed archives: one is filled while the others go up, in memory too."""


@dataclass(frozen=True)
class Widths:
    """Who makes a part has one of these meanwhile."""

    copies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(COPIES_AT_ONCE))
    builds: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BUILDS_AT_ONCE))
    compressed: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(COMPRESSED_AT_ONCE))
