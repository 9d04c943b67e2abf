"""How many parts are under way to a bucket: as many as it takes without saying SlowDown, found by `concurrency.py`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bucketzip.errors import SlowDown
from bucketzip.s3.concurrency import Concurrency
from bucketzip.s3.sending import hearing_of_slow_down


class Gate:
    """Lets them in in the order in which they come, up to `most` at once."""

    def __init__(self, most: int) -> None:
        self._concurrency = Concurrency(most)
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """As many as may be inside now."""
        return self._concurrency.limit

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for it; what comes of the request meanwhile decides how many are let in from then on."""
        loop = asyncio.get_running_loop()
        await self._enter(loop)
        sent_at = loop.time()
        try:
            with hearing_of_slow_down():
                yield
            self._concurrency.succeeded(loop.time())
        except SlowDown:
            self._concurrency.refused(sent_at, loop.time())
            raise
        finally:
            self._inside -= 1
            self._let_in()

    async def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        turn = loop.create_future()
        self._waiting.append(turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had its turn in the same moment
                self._inside -= 1
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._waiting and self._inside < self._concurrency.limit:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._inside += 1
                turn.set_result(None)
