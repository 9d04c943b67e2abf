"""What is zipped: sets of objects, each under a prefix of its own, incompressible and the same in every run."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

#: Every set lives in this bucket.
BUCKET = "bench"
#: random.randbytes counts bits in a C int, so 256 MiB at once is too many.
_PIECE_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True)
class Dataset:
    """Objects `name/0000000.bin` and so on, one for each size in bytes."""

    name: str
    title: str
    sizes: tuple[int, ...]

    @property
    def prefix(self) -> str:
        """The key prefix, with its slash."""
        return f"{self.name}/"

    @property
    def total_bytes(self) -> int:
        """Content only, without a byte of ZIP."""
        return sum(self.sizes)

    def objects(self) -> Iterator[tuple[str, int]]:
        """Key and size, in the order of a listing."""
        return ((f"{self.prefix}{index:07d}.bin", size) for index, size in enumerate(self.sizes))


def content(key: str, size: int) -> bytes:
    """The bytes of one object: random, so that nobody gains by compressing, and fixed by the key."""
    generator = random.Random(key)
    pieces = (generator.randbytes(min(_PIECE_BYTES, size - start)) for start in range(0, size, _PIECE_BYTES))
    return b"".join(pieces)


def large(*, quick: bool) -> Dataset:
    """Few large objects: what a byte costs."""
    size = 64 * MIB if quick else 256 * MIB
    return Dataset("large", f"4 x {size // MIB} MiB", (size,) * 4)


def small(*, quick: bool) -> Dataset:
    """Many small objects: what an object costs."""
    count = 500 if quick else 2000
    return Dataset("small", f"{count:,} x 10 KiB", (10 * KIB,) * count)


def warm() -> Dataset:
    """A few small objects, to open connections where a whole round of `small` would take a minute."""
    return Dataset("warm", "20 x 10 KiB", (10 * KIB,) * 20)


def mixed() -> Dataset:
    """Some of both, little enough for 200 clients to fetch and too much for socket buffers to hide a slow one."""
    return Dataset("mixed", "4 x 16 MiB + 200 x 10 KiB", (16 * MIB,) * 4 + (10 * KIB,) * 200)


def many(*, quick: bool) -> Dataset:
    """Very many tiny objects: what the directory of a big archive costs in memory, for each client."""
    count = 5000 if quick else 100_000
    return Dataset("many", f"{count:,} x 100 B", (100,) * count)
