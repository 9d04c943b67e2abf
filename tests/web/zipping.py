"""S3Zipper's calls, as a client makes them."""

import asyncio
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from tests.web.serving import Server

RUNNING = {"PENDING", "RECEIVED", "STARTED", "RETRY"}


async def call(
    server: Server, path: str, document: Any = None, *, headers: Mapping[str, str] | None = None, **more: Any
) -> tuple[int, Any]:
    """The status and the answer of a POST."""
    more = more if document is None else {"json": document, **more}
    async with server.client.post(server.base + path, headers=headers, **more) as answer:
        return answer.status, await answer.json()


async def started(server: Server, path: str, **fields: Any) -> dict[str, Any]:
    """The answer of a start that must be accepted."""
    status, answer = await call(server, path, fields)
    assert status == 200, answer
    assert answer["message"] == "STARTED"
    return dict(answer)


async def ended(server: Server, chain: Any, version: str = "v1") -> dict[str, Any]:
    """What zipstate says in the end."""
    async with asyncio.timeout(120):
        while True:
            state = await state_of(server, chain, version)
            if state["State"] not in RUNNING:
                return state
            assert (state["Results"], state["Error"]) == (None, "")
            await asyncio.sleep(0.05)


async def state_of(server: Server, chain: Any, version: str = "v1") -> dict[str, Any]:
    """What zipstate says now."""
    status, state = await call(server, f"/{version}/zipstate", chain)
    assert status == 200, state
    assert list(state) == ["TaskUUID", "TaskName", "State", "Results", "Error", "CreatedAt"]
    return dict(state)


def names_in(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return opened.namelist()
