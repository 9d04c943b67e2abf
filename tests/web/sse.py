"""Server-sent events as a client reads them."""

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp


class Event(NamedTuple):
    """One event; of a comment or a `retry` alone, `kind` is empty."""

    kind: str
    id: int
    data: dict[str, Any]
    comment: bool


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The blocks of a stream until its end; a block that breaks off fails."""
    assert answer.status == 200, await answer.text()
    assert answer.content_type == "text/event-stream"
    fields: dict[str, str] = {}
    while line := (await answer.content.readuntil(b"\n")).decode():
        assert line.endswith("\n"), "it broke off"
        if line != "\n":
            name, _, value = line.rstrip("\n").partition(":")
            assert name not in fields
            fields[name] = value.removeprefix(" ")
            continue
        if set(fields) != {"retry"}:
            yield Event(
                fields.get("event", ""), int(fields.get("id", -1)), json.loads(fields.get("data", "{}")), "" in fields
            )
        fields = {}
    assert not fields, "it broke off"
