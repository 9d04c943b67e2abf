"""The way from content to a compressed archive, with a client in the test's hand."""

import asyncio
import io
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Sequence

import pytest

from bucketzip.archive.deflate import BLOCK_BYTES
from bucketzip.archive.deflated import Block, Compression, DeflatedArchive
from bucketzip.transfer.budget import RESERVE_BYTES, Budget
from bucketzip.transfer.compressor import Compressor, Encoded
from bucketzip.transfer.deflating import BATCH_BLOCKS, Deflating
from bucketzip.transfer.fetch import Piece
from bucketzip.transfer.outlets import ToClient
from bucketzip.transfer.pump import ClientStalled
from tests.transfer.archives import content, lay_out

SIZES = [100, 0, 5 * BLOCK_BYTES + 7, 1, BLOCK_BYTES, *([300] * 600)]
THREADS = 4


class Client:
    """Takes bytes while it may."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.may = asyncio.Event()
        self.may.set()
        self.aborted = False

    async def write(self, pieces: Sequence[Piece]) -> None:
        await self.may.wait()
        for piece in pieces:
            self.taken += piece

    def unsent_bytes(self) -> int:
        return 0

    def abort(self) -> None:
        self.aborted = True


class Count:
    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1, /) -> None:
        self.value += amount


@pytest.fixture
def counts() -> tuple[Count, Count]:
    return Count(), Count()


@pytest.fixture
async def compressor(counts: tuple[Count, Count]) -> AsyncIterator[Compressor]:
    made = Compressor(THREADS, in_bytes=counts[0], out_bytes=counts[1])
    yield made
    made.close()


def deflating(
    compressor: Compressor, client: Client, budget: Budget, sizes: Sequence[int] = SIZES, stall_seconds: float = 50
) -> Deflating:
    manifest = lay_out(sizes).manifest
    archive = DeflatedArchive(manifest, lambda *_: None, Compression(1))
    outlet = ToClient(client, stall_seconds)
    return Deflating(archive, compressor, budget, outlet, window_bytes=lambda: budget.total_bytes)


def a_budget(total_bytes: int) -> Budget:
    return Budget(total_bytes, now=time.monotonic)


async def test_all_content_comes_out_in_order(compressor: Compressor, counts: tuple[Count, Count]) -> None:
    client, budget = Client(), a_budget(64 * RESERVE_BYTES)
    with deflating(compressor, client, budget) as sink:
        for entry, size in enumerate(SIZES):
            await sink.write([content(entry, size)])
        await sink.finish()
        assert sink.sent_bytes == len(client.taken)
        assert not budget.used_bytes
    with zipfile.ZipFile(io.BytesIO(client.taken)) as archive:
        assert archive.namelist() == [f"{entry}.bin" for entry in range(len(SIZES))]
        for entry, size in enumerate(SIZES):
            assert archive.read(f"{entry}.bin") == content(entry, size)
        assert counts[1].value == sum(info.compress_size for info in archive.infolist())
    assert counts[0].value == sum(SIZES)
    assert not compressor.busy


async def test_small_entries_share_threads_that_are_busy(
    compressor: Compressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However they come: to hand each over alone takes longer than to compress it."""
    handed_over: list[int] = []
    start = compressor.start

    def counted(blocks: Sequence[Block]) -> asyncio.Future[Encoded]:
        handed_over.append(len(blocks))
        return start(blocks)

    monkeypatch.setattr(compressor, "start", counted)
    client, budget, sizes = Client(), a_budget(64 * RESERVE_BYTES), [300] * 600
    with deflating(compressor, client, budget, sizes) as sink:
        for entry, size in enumerate(sizes):
            await sink.write([content(entry, size)])  # the loop does not turn, so no batch is done
        await sink.finish()
    assert handed_over == [*([1] * THREADS), BATCH_BLOCKS, BATCH_BLOCKS, 600 - THREADS - 2 * BATCH_BLOCKS]
    assert zipfile.ZipFile(io.BytesIO(client.taken)).testzip() is None


@pytest.mark.parametrize("reserves", [1, 3, 64])
async def test_it_never_holds_more_than_its_share(compressor: Compressor, reserves: int) -> None:
    """With one reserve it is one block at a time, and still comes to its end."""
    client, budget = Client(), a_budget(reserves * RESERVE_BYTES)
    sizes = [20 * BLOCK_BYTES]
    most = 0
    with deflating(compressor, client, budget, sizes) as sink:
        whole = memoryview(content(0, sizes[0]))
        for start in range(0, sizes[0], 100_000):
            await sink.write([whole[start : start + 100_000]])
            most = max(most, budget.used_bytes)
        await sink.finish()
    assert most <= min(reserves, 2 * THREADS) * RESERVE_BYTES
    with zipfile.ZipFile(io.BytesIO(client.taken)) as archive:
        assert archive.read("0.bin") == whole


async def test_a_client_that_takes_nothing_holds_it_up_and_only_a_little(compressor: Compressor) -> None:
    client, budget = Client(), a_budget(64 * RESERVE_BYTES)
    client.may.clear()
    sizes = [100 * BLOCK_BYTES]
    with deflating(compressor, client, budget, sizes) as sink:
        writing = asyncio.create_task(sink.write([content(0, sizes[0])]))
        while len(sink._under_way) < 2 * THREADS:
            await asyncio.sleep(0)
        assert budget.used_bytes == 2 * THREADS * RESERVE_BYTES
        assert not writing.done()
        client.may.set()
        await writing
        await sink.finish()
    assert not budget.used_bytes


async def test_a_client_that_takes_nothing_of_the_directory_is_let_go(compressor: Compressor) -> None:
    """There the pump does not look any more: all content was read."""
    client, budget = Client(), a_budget(64 * RESERVE_BYTES)
    with deflating(compressor, client, budget, [10, 10], stall_seconds=0.05) as sink:
        await sink.write([content(0, 10), content(1, 10)])
        client.may.clear()
        with pytest.raises(ClientStalled):
            await sink.finish()
    assert client.aborted
    assert not budget.used_bytes


async def test_who_leaves_leaves_the_threads_to_others(compressor: Compressor, counts: tuple[Count, Count]) -> None:
    """Blocks that have not begun are not compressed any more."""
    hold = threading.Event()
    for _ in range(THREADS):
        compressor._executor.submit(hold.wait)
    client, budget = Client(), a_budget(64 * RESERVE_BYTES)
    with deflating(compressor, client, budget, [100 * BLOCK_BYTES]) as sink:
        writing = asyncio.create_task(sink.write([content(0, 100 * BLOCK_BYTES)]))
        while compressor.busy < THREADS:
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    hold.set()
    await asyncio.to_thread(compressor.close)
    assert not compressor.busy
    assert not budget.used_bytes
    assert not client.taken
    assert counts[0].value == 0
