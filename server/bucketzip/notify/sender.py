"""Takes what is due out of the outbox and delivers it, a few at once. Runs beside the jobs, in one process a machine.

An attempt whose outcome could not be written down is made again: everything is told at least once.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from bucketzip.notify.event import Event, Events
from bucketzip.notify.failure import NotDelivered
from bucketzip.notify.patience import next_attempt_at
from bucketzip.state.deliveries import Attempt, Deliveries, Delivery, Kind, State
from bucketzip.transfer.ports import Counter

_log = logging.getLogger(__name__)

AT_ONCE = 8
LOOK_SECONDS = 1.0
"""How often it is looked for what is due."""
GRACE_SECONDS = 3.0
"""How long attempts may go on when this process is to end; what is cut off is made again by the next."""
AGAIN_SECONDS = 60.0
"""After which pause an attempt is made again whose outcome could not be written down."""


class Way(Protocol):
    """How one kind of delivery is made."""

    async def send(self, target: str, event: Event) -> str:
        """Tell the target of the event and return the outcome; raises NotDelivered."""


class Outcomes(Protocol):
    """A counter for each kind and outcome."""

    def labels(self, kind: str, outcome: str, /) -> Counter:
        """That of both."""


class Sender:
    """Delivers. `clock` gives seconds since 1970."""

    def __init__(
        self,
        deliveries: Deliveries,
        events: Events,
        ways: Mapping[Kind, Way],
        outcomes: Outcomes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._deliveries = deliveries
        self._events = events
        self._ways = ways
        self._outcomes = outcomes
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._free = asyncio.Event()

    async def run(self) -> None:
        """Go on for ever. When cancelled, take up nothing more, and let what is under way come to its end."""
        try:
            while True:
                self._free.clear()
                try:
                    await self._take()
                except Exception:  # noqa: BLE001  -- a full disk, a locked file: the next round may do better
                    _log.warning("it could not be looked for deliveries", exc_info=True)
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._free.wait()
                except TimeoutError:
                    continue
        finally:
            await self._end()

    async def _take(self) -> None:
        if len(self._under_way) == AT_ONCE:
            return
        for delivery in await self._deliveries.due(self._clock(), limit=AT_ONCE + len(self._under_way)):
            if delivery.id not in self._under_way and len(self._under_way) < AT_ONCE:
                self._start(delivery)

    def _start(self, delivery: Delivery) -> None:
        task = self._under_way[delivery.id] = asyncio.create_task(self._deliver(delivery))

        def ended(_: asyncio.Task[None]) -> None:
            del self._under_way[delivery.id]
            self._free.set()

        task.add_done_callback(ended)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._attempt(delivery)
        except Exception:  # noqa: BLE001  -- its outcome could not be written down
            _log.exception("a delivery is tried again in a while", extra={"delivery": delivery.id})
            await asyncio.sleep(AGAIN_SECONDS)

    async def _attempt(self, delivery: Delivery) -> None:
        began, next_at = self._clock(), None
        try:
            said, outcome = await self._send(delivery), "delivered"
        except NotDelivered as failure:
            said = str(failure)
            if not failure.final:
                next_at = next_attempt_at(
                    delivery.created_at,
                    len(delivery.attempts) + 1,
                    self._clock(),
                    failure.retry_after_seconds,
                    random.random(),  # noqa: S311  -- spreads attempts, keeps nothing secret
                )
            outcome = "failed" if next_at is None else "retried"
        state = State.WAITING if outcome == "retried" else State(outcome)
        await self._deliveries.attempted(delivery, Attempt(int(began), said), state, next_at)
        self._outcomes.labels(delivery.kind, outcome).inc()
        _log.info(
            "%s %s: %s",
            delivery.kind,
            outcome,
            said,
            extra={"delivery": delivery.id, "event": delivery.event, "about": delivery.about},
        )

    async def _send(self, delivery: Delivery) -> str:
        """Send it and return the outcome; raises NotDelivered, whatever happens."""
        try:
            return await self._ways[delivery.kind].send(delivery.target, await self._events.of(delivery))
        except NotDelivered:
            raise
        except Exception as error:
            _log.exception("a delivery failed", extra={"delivery": delivery.id})
            raise NotDelivered("something went wrong inside bucketzip; its log has the details") from error

    async def _end(self) -> None:
        tasks = list(self._under_way.values())
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
