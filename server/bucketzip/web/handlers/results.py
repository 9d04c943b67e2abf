"""What jobs made, by links that need no keys of S3: each leads to a URL that is signed when it is followed.

One that is signed with the keys of a role dies with them, hours before the link does.
"""

from typing import Literal

from aiohttp import web

from bucketzip.jobs.links import SIGNED_SECONDS
from bucketzip.jobs.ports import Follow
from bucketzip.web import keys
from bucketzip.web.disposition import attachment


async def follow(request: web.Request) -> web.Response:
    """GET and HEAD /r/{capability}: to the archive in its bucket."""
    links = request.app[keys.RESULT_LINKS]
    job = await links.job(request.match_info["capability"])
    disposition = attachment(job.key.rpartition("/")[2])
    # A signature is good for one of them.
    method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
    url = await links.signed_url(job, Follow(method, disposition, SIGNED_SECONDS))
    return web.Response(status=307, headers={"Location": url})
