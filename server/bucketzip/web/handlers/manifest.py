"""What an archive holds, for programs and for who wants to check it: `manifest.json` beside the download link."""

import asyncio

from aiohttp import web

from bucketzip.archive.manifest import Source
from bucketzip.state.links import Link
from bucketzip.transfer.opened import Opened
from bucketzip.transfer.pump import ClientStalled
from bucketzip.verify import manifest_json
from bucketzip.web import keys
from bucketzip.web.handlers.downloads import look_up
from bucketzip.web.handlers.links import compression_name

CHUNK_ENTRIES = 250
"""Encoded at a time, which takes some 4 ms: for so long no download goes on."""


async def manifest(request: web.Request) -> web.StreamResponse:
    """GET and HEAD /d/{capability}/manifest.json."""
    async with look_up(request) as (link, opened):
        return await _tell(request, link, opened)


async def _tell(request: web.Request, link: Link, opened: Opened) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/json",
            # No ETag, and nobody may keep it without asking: CRCs that are not known yet may be known the next time.
            "Cache-Control": "private, no-cache",
        }
    )
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    async with request.app[keys.DOWNLOADS].revocations.heeded(link.id):
        await _send(request, response, link, opened)
    return response


async def _send(request: web.Request, response: web.StreamResponse, link: Link, opened: Opened) -> None:
    listed = opened.layout.manifest
    compression = compression_name(link)
    await _write(request, response, manifest_json.head(opened.layout, link.filename, compression))
    for first in range(0, len(listed), CHUNK_ENTRIES):
        entries = range(first, min(first + CHUNK_ENTRIES, len(listed)))
        await _recall(opened, entries)
        await _write(request, response, manifest_json.lines(listed, entries, opened.crcs.get, compression))
        await asyncio.sleep(0)  # a fast client never makes the write wait
    await _write(request, response, manifest_json.TAIL)


async def _write(request: web.Request, response: web.StreamResponse, chunk: bytes) -> None:
    try:
        async with asyncio.timeout(request.app[keys.SETTINGS].client_stall_seconds):
            await response.write(chunk)
    except TimeoutError as error:
        raise ClientStalled from error


async def _recall(opened: Opened, entries: range) -> None:
    """Fill in CRCs that were learned when this archive, or another with the same objects, was sent before."""
    listed = opened.layout.manifest
    unknown: list[int] = []
    asked: list[tuple[Source, int]] = []
    for entry in entries:
        if opened.crcs.get(entry) is None and isinstance(source := listed.source(entry), Source):
            unknown.append(entry)
            asked.append((source, listed.sizes[entry]))
    for entry, crc in zip(unknown, await opened.memory.recall(asked), strict=True):
        if crc is not None:
            opened.crcs.recall(entry, crc)
