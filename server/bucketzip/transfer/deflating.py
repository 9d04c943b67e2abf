"""The way from content to a compressed archive: a sink for the pump of all content, in front of where that goes.

Blocks are compressed side by side, several entries or several blocks of one, and go out in order. They have a share
of the budget of their own: a block reserves its length and as much again for what becomes of it, and gives that back
when it went out. One block is always possible, so everything moves where there is no memory for more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Self

from bucketzip.archive.deflate import BLOCK_BYTES
from bucketzip.archive.deflated import Block, DeflatedArchive
from bucketzip.transfer.budget import RESERVE_BYTES, Budget
from bucketzip.transfer.compressor import Compressor, Encoded
from bucketzip.transfer.fetch import Piece
from bucketzip.transfer.outlets import Outlet

BATCH_BLOCKS = 256
"""Small entries are compressed together, up to so many or to `BLOCK_BYTES`: to hand one to a thread takes 0.1 ms."""

assert 2 * BLOCK_BYTES <= RESERVE_BYTES


class _Batch(NamedTuple):
    blocks: Sequence[Block]
    encoded: asyncio.Future[Encoded]
    reserved_bytes: int


class Deflating:
    """Implements `ports.Sink` for the content of an archive; use as a context manager, `finish` behind all content.

    `window_bytes` tells how much of one client may be under way: of a slow one less than there are threads for.
    """

    def __init__(
        self,
        archive: DeflatedArchive,
        compressor: Compressor,
        budget: Budget,
        outlet: Outlet,
        *,
        window_bytes: Callable[[], int],
    ) -> None:
        self._archive = archive
        self._compressor = compressor
        self._outlet = outlet
        self._window_bytes = window_bytes
        # It waits for nobody's memory but its own, which it gets back by sending.
        self._share = budget.join(wake=lambda: None, shed=lambda: None)
        self._most_batches = 2 * compressor.threads
        self._under_way: deque[_Batch] = deque()
        self._blocks: list[Block] = []
        self._blocks_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for batch in self._under_way:
            batch.encoded.cancel()
            self._share.drop(batch.reserved_bytes)
        self._share.leave()

    async def write(self, pieces: Sequence[Piece]) -> None:
        """Take content; it was copied on return."""
        for piece in pieces:
            for block in self._archive.feed(piece):
                await self._add(block)
        while self._under_way and self._under_way[0].encoded.done():
            await self._send_first()
        if len(self._under_way) < self._compressor.threads:
            await self._start()  # else what is small waits for more of its kind, as it would for a thread

    async def finish(self) -> None:
        """Send all that is left, and the directory."""
        for block in self._archive.close():
            await self._add(block)
        await self._start()
        while self._under_way:
            await self._send_first()
        for records in self._archive.directory():
            await self._outlet.take([records])
            await asyncio.sleep(0)  # a fast client never makes it wait

    @property
    def sent_bytes(self) -> int:
        """How much of the archive went out."""
        return self._outlet.sent_bytes

    def unsent_bytes(self) -> int:
        """What the client has not taken of what it was sent."""
        return self._outlet.unsent_bytes()

    def abort(self) -> None:
        """Break the client's connection."""
        self._outlet.abort()

    async def _add(self, block: Block) -> None:
        if self._blocks_bytes + len(block.data) > BLOCK_BYTES or len(self._blocks) == BATCH_BLOCKS:
            await self._start()
        self._blocks.append(block)
        self._blocks_bytes += len(block.data)

    async def _start(self) -> None:
        if not self._blocks:
            return
        cost = 2 * self._blocks_bytes
        while self._under_way and not self._has_room(cost):
            await self._send_first()
        if not self._under_way:
            taken = self._share.take(cost)
            assert taken  # the reserve is enough for it
        self._under_way.append(_Batch(self._blocks, self._compressor.start(self._blocks), cost))
        self._blocks, self._blocks_bytes = [], 0

    def _has_room(self, cost: int) -> bool:
        return (
            len(self._under_way) < self._most_batches
            and self._share.used_bytes + cost <= self._window_bytes()
            and self._share.take(cost)
        )

    async def _send_first(self) -> None:
        batch = self._under_way[0]
        await self._outlet.take(self._steps(batch.blocks, await batch.encoded))
        self._under_way.popleft()
        self._share.give_back(batch.reserved_bytes)

    def _steps(self, blocks: Sequence[Block], encoded: Encoded) -> Iterator[bytes]:
        for block, made in zip(blocks, encoded, strict=True):
            yield b"".join(self._archive.encoded(block, made))
