"""Server-sent events (WHATWG HTML, 9.2): a response that goes on, for who wants to know what happens.

Nothing is kept for a client that is slow: it is given the next event once it has taken the last.
"""

import asyncio
import json

from aiohttp import web

from bucketzip.transfer.pump import ClientStalled

RETRY_MILLISECONDS = 2000
"""How long a client waits before it comes again, should the connection break."""
_LOOK_SECONDS = 0.05


class EventStream:
    """The events of one response. `stall_seconds` is how long a client may take nothing."""

    def __init__(self, request: web.Request, *, stall_seconds: float) -> None:
        self._request = request
        self._stall_seconds = stall_seconds
        self.response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "X-Accel-Buffering": "no",  # nginx would wait until it has some KiB of them
            }
        )

    async def open(self) -> None:
        """Send the head."""
        await self.response.prepare(self._request)
        await self._send(f"retry: {RETRY_MILLISECONDS}\n\n")

    async def send(self, event: str, data: object, *, event_id: int) -> None:
        """Send an event with its data as JSON; the kernel has it on return. Raises ClientStalled."""
        await self._send(f"event: {event}\nid: {event_id}\ndata: {json.dumps(data)}\n\n")

    async def beat(self) -> None:
        """Send a sign of life. Raises ClientStalled."""
        await self._send(":\n\n")

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self.response.write(text.encode())
                while (transport := self._request.transport) is not None and transport.get_write_buffer_size():  # noqa: ASYNC110  -- it tells nobody
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as error:
            raise ClientStalled from error
