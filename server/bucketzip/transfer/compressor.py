"""The threads of this process that compress, for all that does: the libraries let go of the interpreter's lock."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bucketzip.archive.deflated import Block, Made
from bucketzip.transfer.ports import Counter

Encoded = list[Made]


class Compressor:
    """Encodes blocks, first come, first served. Close it at the end."""

    def __init__(self, threads: int, *, in_bytes: Counter, out_bytes: Counter) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="compress")
        self._in_bytes = in_bytes
        self._out_bytes = out_bytes
        self._unfinished = 0

    @property
    def busy(self) -> int:
        """Threads at work."""
        return min(self._unfinished, self.threads)

    def start(self, blocks: Sequence[Block]) -> asyncio.Future[Encoded]:
        """Encode blocks, one after the other; to cancel the future spares what has not begun."""
        future = asyncio.get_running_loop().run_in_executor(self._executor, _encode, blocks)
        self._unfinished += 1
        future.add_done_callback(lambda done: self._finished(done, blocks))
        return future

    def close(self) -> None:
        """Let the threads end; what they have begun takes some milliseconds."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _finished(self, done: asyncio.Future[Encoded], blocks: Sequence[Block]) -> None:
        self._unfinished -= 1
        if done.cancelled() or done.exception() is not None:
            return
        made = zip(blocks, done.result(), strict=True)
        self._in_bytes.inc(sum(len(block.data) for block in blocks))
        self._out_bytes.inc(sum(len(block.data if each.data is None else each.data) for block, each in made))


def _encode(blocks: Sequence[Block]) -> Encoded:
    return [block.encode() for block in blocks]
