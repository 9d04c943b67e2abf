"""What an object of the lying store holds: bytes, or a rule that makes them, so that 50 GiB cost nothing."""

import random
from dataclasses import dataclass
from functools import cache
from typing import Protocol

BLOCK_BYTES = 64 * 1024
STAMP_BYTES = 8
# Prime and below BLOCK_BYTES. A stride of one byte would make neighbouring blocks look alike.
TURNS, STRIDE = 65_521, 40_503


class Content(Protocol):
    @property
    def size(self) -> int: ...

    def read(self, start: int, stop: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Given:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]


@dataclass(frozen=True, slots=True)
class Synthetic:
    size: int
    seed: int = 0

    def read(self, start: int, stop: int) -> bytes:
        return synthetic_bytes(self.seed, start, min(stop, self.size))


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes `[start, stop)` of another content."""

    content: Content
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def read(self, start: int, stop: int) -> bytes:
        return self.content.read(self.start + start, min(self.start + stop, self.stop))


@dataclass(frozen=True, slots=True)
class Joined:
    """Contents one behind the other."""

    contents: tuple[Content, ...]

    @property
    def size(self) -> int:
        return sum(each.size for each in self.contents)

    def read(self, start: int, stop: int) -> bytes:
        pieces = []
        for each in self.contents:
            if start < each.size and stop > 0:
                pieces.append(each.read(max(0, start), min(stop, each.size)))
            start, stop = start - each.size, stop - each.size
        return b"".join(pieces)


def slice_of(content: Content, start: int, stop: int) -> Content:
    """Return the content itself for all of it, and real bytes as real bytes."""
    if (start, stop) == (0, content.size):
        return content
    return Given(content.data[start:stop]) if isinstance(content, Given) else Slice(content, start, stop)


def synthetic_bytes(seed: int, start: int, stop: int) -> bytes:
    """Make bytes `[start, stop)` of an endless stream that never repeats; two reads that overlap agree.

    One random block, turned by the number of the block. Turns come back after 4 GiB, exactly where a mistake of 32 bits
    would look, so each block also starts with its number.
    """
    if start >= stop:
        return b""
    twice = memoryview(_random_block_twice(seed))
    pieces: list[bytes | memoryview] = []
    for number in range(start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES + 1):
        first, last = max(0, start - number * BLOCK_BYTES), min(BLOCK_BYTES, stop - number * BLOCK_BYTES)
        turn = number * STRIDE % TURNS
        pieces.append(number.to_bytes(STAMP_BYTES, "little")[first:last])
        pieces.append(twice[turn + max(first, STAMP_BYTES) : turn + max(last, STAMP_BYTES)])
    return b"".join(pieces)


@cache
def _random_block_twice(seed: int) -> bytes:
    return random.Random(seed).randbytes(BLOCK_BYTES) * 2
