"""The Chrome DevTools protocol over a pair of pipes: JSON messages, each ended by a zero byte."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

ANSWERS_WITHIN_SECONDS = 40.0
PAGE_WENT_AWAY = {
    "Cannot find default execution context",
    "Execution context was destroyed.",
    "Inspected target navigated or closed",
}


class Failed(Exception):
    """The browser refused a call, or is gone."""


class Unanswered(Failed):
    """The browser said nothing to a call, or nothing but that its page went away meanwhile."""


class Devtools:
    """Asks a browser. What it tells unasked is not listened to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Devtools"]:
        """Read what the browser says, until the end of the block."""
        receiving = asyncio.create_task(self._receive())
        try:
            yield self
        finally:
            receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await receiving

    async def call(
        self,
        method: str,
        within_seconds: float = ANSWERS_WITHIN_SECONDS,
        *,
        session: str | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """The result of a method of the browser or, with `session`, of one tab; raises Failed, after a while too."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        if self._reader.at_eof():
            raise Failed(f"{method}: the browser is gone")
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps(message).encode() + b"\0")
        try:
            said = await asyncio.wait_for(answer, within_seconds)
        except TimeoutError:
            raise Unanswered(f"{method} {params}: no answer within {within_seconds:.0f} s") from None
        if "error" in said:
            failed = Unanswered if said["error"]["message"] in PAGE_WENT_AWAY else Failed
            raise failed(f"{method}: {said['error']['message']}")
        return dict(said["result"])

    async def _receive(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # the end
            while message := await self._reader.readuntil(b"\0"):
                said = json.loads(message[:-1])
                answer = self._answers.pop(said.get("id"), None)
                if answer and not answer.done():  # whoever asked may have been cancelled
                    answer.set_result(said)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result({"error": {"message": "the browser ended"}})
