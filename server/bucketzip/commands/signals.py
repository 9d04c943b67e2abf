"""How commands end: SIGTERM and SIGINT ask them to, and a second one ends the process as it stands."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

STOP_SECONDS = 9.0
"""A thread that cannot be stopped may go on for so long. Whatever is on the disk can take the end at any moment."""


class Interrupted(Exception):
    """A signal came before the work was done."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.status = 128 + number


async def signalled() -> signal.Signals:
    """Wait for SIGTERM or SIGINT. From then on either ends the process as it stands; its state can take that."""
    loop, told = asyncio.get_running_loop(), asyncio.Queue[signal.Signals]()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, told.put_nowait, number)
    try:
        return await told.get()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)


async def interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work. A signal cancels it, and Interrupted is raised unless it came to its end even so."""
    signal_came, working = asyncio.create_task(signalled()), asyncio.create_task(work)
    await asyncio.wait([working, signal_came], return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        signal_came.cancel()
        await asyncio.wait([signal_came])
        return working.result()
    number = signal_came.result()
    end = threading.Timer(STOP_SECONDS, os._exit, [128 + number])
    end.daemon = True
    end.start()
    working.cancel()
    await asyncio.wait([working])
    if working.cancelled():
        raise Interrupted(number)
    return working.result()
