"""Streams read one after the other, while the next few of them already run ahead a little."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def run_ahead(
    streams: Iterable[AsyncGenerator[T, None]], *, streams_at_once: int, items_ahead: int
) -> AsyncGenerator[T, None]:
    """All items of the streams in order; each stream that runs holds up to `items_ahead` of its own.

    What breaks a stream is raised where its items end; then, and when the consumer stops, all others are ended too.
    """
    waiting = iter(streams)
    running: deque[tuple[asyncio.Task[None], asyncio.Queue[T | _End]]] = deque()
    try:
        while True:
            while len(running) < streams_at_once and (stream := next(waiting, None)) is not None:
                queue: asyncio.Queue[T | _End] = asyncio.Queue(items_ahead)
                running.append((asyncio.create_task(_fill(queue, stream)), queue))
            if not running:
                return
            task, queue = running[0]
            while not isinstance(item := await queue.get(), _End):
                yield item
            await task  # raises what broke it
            running.popleft()
    finally:
        for task, _ in running:
            task.cancel()
        await asyncio.gather(*(task for task, _ in running), return_exceptions=True)


class _End:
    """Behind the last item of a stream."""


async def _fill(queue: asyncio.Queue[T | _End], stream: AsyncGenerator[T, None]) -> None:
    try:
        async with aclosing(stream):
            async for item in stream:
                await queue.put(item)
    except Exception:
        await queue.put(_End())  # not after a cancellation: nobody takes it then
        raise
    await queue.put(_End())
