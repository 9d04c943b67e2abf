"""Texts of this program that clients may keep, as long as they ask whether there is a newer one."""

import hashlib

from aiohttp import web

from bucketzip.web.ranges import Outcome, decide


class StaticText:
    """One of them, in UTF-8."""

    def __init__(self, body: bytes, content_type: str, **headers: str) -> None:
        self._body = body
        self._headers = headers | {
            "Content-Type": content_type,
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Cache-Control": "no-cache",
        }

    def answer(self, request: web.Request) -> web.Response:
        """The text, or 304 to who has it."""
        asked = decide({"If-None-Match": request.headers.get("If-None-Match", "")}, etag=self._headers["ETag"], size=0)
        if asked.outcome is Outcome.NOT_MODIFIED:
            return web.Response(status=304, headers=self._headers)
        return web.Response(body=self._body, headers=self._headers)
