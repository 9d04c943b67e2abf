"""The memory that large bodies live in: reused, warm blocks of two sizes, last in, first out.

Measured on loopback, CPU of the whole process per GiB read, checked and written: 1 MiB blocks 0.64-0.79 s, 256 KiB
blocks 1.03 s (what counts is the number of receives and writes), a small ring per connection stalls parallel ranges.
Bodies up to `SMALL_BODY_BYTES` are `bytes` of their own: they arrive with their head in one receive and are joined
into one write anyway.
"""

BLOCK_BYTES = 1 << 20
SMALL_BLOCK_BYTES = 256 << 10
SMALL_BODY_BYTES = 48 << 10


def cost(length: int) -> int:
    """Bytes of memory that a range of `length` bytes takes from start to end."""
    if length <= SMALL_BODY_BYTES:
        return length
    return -(-length // SMALL_BLOCK_BYTES) * SMALL_BLOCK_BYTES


def memory(piece: bytes | memoryview) -> int:
    """Bytes of memory that a piece of a body keeps: its own, or its block's."""
    return len(piece) if isinstance(piece, bytes) else memoryview(piece.obj).nbytes


class BlockPool:
    """Blocks in two sizes. It bounds nothing: whoever takes a block has reserved it in the budget first."""

    def __init__(self) -> None:
        self._free: dict[int, list[bytearray]] = {BLOCK_BYTES: [], SMALL_BLOCK_BYTES: []}
        self._idle_bytes = 0
        self._used_bytes = 0
        self._peak_bytes = 0

    def take(self, wanted: int) -> bytearray:
        """A block for up to `wanted` bytes that are still to come."""
        size = BLOCK_BYTES if wanted > BLOCK_BYTES - SMALL_BLOCK_BYTES else SMALL_BLOCK_BYTES
        self._used_bytes += size
        free = self._free[size]
        if free:
            self._idle_bytes -= size
            return free.pop()
        self._peak_bytes = max(self._peak_bytes, self._used_bytes)
        self._trim(size)
        return bytearray(size)

    def give_back(self, piece: bytes | memoryview) -> None:
        """Take back the block under a piece that nobody looks at any more."""
        if isinstance(piece, memoryview):
            block = piece.obj
            assert isinstance(block, bytearray)
            size = len(block)
            self._used_bytes -= size
            self._idle_bytes += size
            self._free[size].append(block)

    def _trim(self, size: int) -> None:
        """Before the pool grows by one size, drop idle blocks of the other: in all, never more than was in use."""
        for other, free in self._free.items():
            while other != size and free and self._used_bytes + self._idle_bytes > self._peak_bytes:
                free.pop()
                self._idle_bytes -= other
