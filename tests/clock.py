"""A clock that stands still until the test moves it: what waits takes no time, and a slow machine is not late.

It is the event loop's own, so all timers of the loop go by it: those of the server and those of the test. What goes
over sockets takes no time at all by it. Wait for that with `until`, since `asyncio.sleep` would never end.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

STEP_SECONDS = 0.01
"""Finer than anything that the server looks at."""
TURNS = 10
"""Of the loop, after each step: for what follows from a timer without any I/O."""


class Clock:
    """Seconds of the running loop."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    async def move(self, seconds: float) -> None:
        """Let so much time pass, and everybody act on it when it is due."""
        end = self.now + seconds
        while self.now < end:
            await self.jump(min(STEP_SECONDS, end - self.now))

    async def jump(self, seconds: float) -> None:
        """Let it pass at once, as it does where the machine was suspended or the loop was stuck."""
        self.now += seconds
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what needs no time, however long it takes."""
        while not condition():
            await asyncio.sleep(0)

    async def run(self, condition: Callable[[], bool], *, idle: Callable[[], bool]) -> None:
        """Let time pass until the condition holds; but none while not all that is under way waits for it."""
        while not condition():
            if idle():
                await self.move(STEP_SECONDS)
            else:
                await asyncio.sleep(0)


@contextmanager
def standing_still() -> Iterator[Clock]:
    """While this lasts, the loop goes by the clock that it gives."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", clock.time)
        yield clock
