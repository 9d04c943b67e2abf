"""Download links as their owners see them: listed, looked at and revoked."""

import json
import time
from urllib.parse import quote

from aiohttp import web

from bucketzip.archive.deflated import Compression
from bucketzip.errors import NoSuchLink
from bucketzip.plan.downloads import error_detail
from bucketzip.state.links import Link, Standing
from bucketzip.web import keys
from bucketzip.web.bodies import read_query
from bucketzip.web.listing import Listing
from bucketzip.web.origin import origin
from bucketzip.web.times import utc

STORE = "store"
_NOT_PLANNED = dict.fromkeys(("source_bytes", "compression", "level", "crc", "pinned"))


class LinkListing(Listing):
    """The query of GET /downloads."""

    state: Standing | None = None


async def page(request: web.Request) -> web.Response:
    """GET /downloads: the newest first."""
    asked = read_query(request, LinkListing)
    found = await request.app[keys.DOWNLOADS].page(
        owner=request[keys.CALLER].sees, standing=asked.state, after=asked.after, limit=asked.limit
    )
    return web.json_response({"downloads": await _all_told(request, found.items), "next": found.next})


async def show(request: web.Request) -> web.Response:
    """GET /downloads/{id}."""
    return web.json_response(await told(request, await _visible(request)))


async def revoke(request: web.Request) -> web.Response:
    """DELETE /downloads/{id}: the link ends for good, and so do its downloads."""
    link = await _visible(request)
    return web.json_response(await told(request, await request.app[keys.DOWNLOADS].revoke(link.id)))


def url_of(request: web.Request, link: Link) -> str:
    """The link itself, capability included."""
    capability = request.app[keys.DOWNLOADS].capability(link)
    return f"{origin(request)}/d/{capability}/{quote(link.filename, safe='')}"


async def told(request: web.Request, link: Link) -> dict[str, object]:
    """For programs; the link's URL as long as it works, or will."""
    return (await _all_told(request, [link]))[0]


async def _all_told(request: web.Request, links: list[Link]) -> list[dict[str, object]]:
    active = await request.app[keys.DOWNLOADS].activity.counts()
    return [_told(request, link, active[link.id]) for link in links]


def _told(request: web.Request, link: Link, active: int) -> dict[str, object]:
    standing = link.standing(time.time())
    planned = _NOT_PLANNED | json.loads(link.summary or "{}")
    stored = compression_of(link) is None
    return {
        "id": link.id,
        "url": url_of(request, link) if standing in {"planning", "ready"} else None,
        "filename": link.filename,
        "state": standing,
        "created_at": utc(link.created_at),
        "expires_at": utc(link.expires_at),
        "revoked_at": utc(link.revoked_at),
        "bytes": link.bytes,
        "entries": link.entries,
        "etag": f'"{link.manifest}"' if link.manifest and stored else None,
        "source_bytes": planned["source_bytes"],
        "compression": planned["compression"],
        "level": planned["level"],
        "crc": planned["crc"],
        "pinned": planned["pinned"],
        "resumable": standing == "ready" and stored,
        "downloads_active": active,
        "error": {"code": link.error_code, "detail": error_detail(link)} if link.error_code else None,
    }


def compression_of(link: Link) -> Compression | None:
    """How the archive of a planned link is compressed; None for a stored one."""
    name = compression_name(link)
    return None if name == STORE else Compression(json.loads(link.summary or "{}")["level"], auto=name == "auto")


def compression_name(link: Link) -> str:
    """As it was asked for: `store`, `deflate` or `auto`; links of an older release are stored."""
    return str(json.loads(link.summary or "{}").get("compression", STORE))


async def _visible(request: web.Request) -> Link:
    """The link of the id in the request's path; raises NoSuchLink, also for one that the caller may not see."""
    link = await request.app[keys.DOWNLOADS].find(request.match_info["id"])
    if not request[keys.CALLER].may_see(link.owner):
        raise NoSuchLink
    return link
