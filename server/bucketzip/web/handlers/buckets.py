"""What there is to zip, for people: buckets, folders, and how much lies in them."""

from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from bucketzip.errors import AccessDenied, InvalidRequest
from bucketzip.plan.request import MAX_KEY_BYTES, parse_url
from bucketzip.web import keys
from bucketzip.web.bodies import read_query
from bucketzip.web.listing import Listing
from bucketzip.web.permission import require_buckets
from bucketzip.web.times import utc

MOST_COUNTED = 20_000
"""Keys that one request counts: as many pages as S3 lists in some seconds."""
MOST_SECONDS = 5.0


def _fits_a_key(prefix: str) -> str:
    if len(prefix.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"a key has at most {MAX_KEY_BYTES} bytes")
    return prefix


Prefix = Annotated[str, StringConstraints(max_length=MAX_KEY_BYTES), AfterValidator(_fits_a_key)]


class LevelListing(Listing):
    """The query of GET /buckets/{bucket}/objects."""

    prefix: Prefix = ""


class Counting(BaseModel):
    """The query of GET /buckets/{bucket}/totals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: Prefix = ""
    after: str | None = None


async def page(request: web.Request) -> web.Response:
    """GET /buckets: those that the role owns or the settings name and the caller may use, and those of its list."""
    caller, detail = request[keys.CALLER], None
    known = filter(caller.may_use, request.app[keys.SETTINGS].known_bucket_names)
    created: dict[str, int | None] = dict.fromkeys([*caller.named_buckets, *known])
    try:
        owned = await request.app[keys.OWN].browser.buckets()
    except AccessDenied as error:
        detail = str(error)
    else:
        created |= {each.name: each.created_at for each in owned if caller.may_use(each.name)}
    told = [{"name": name, "created_at": utc(created[name])} for name in sorted(created)]
    return web.json_response({"buckets": told, "complete": detail is None, "detail": detail})


async def objects(request: web.Request) -> web.Response:
    """GET /buckets/{bucket}/objects: a page of what lies directly in a folder."""
    bucket, asked = _bucket(request), read_query(request, LevelListing)
    listing, cursors = f"objects {bucket} {asked.prefix}", request.app[keys.CURSORS]
    level = await request.app[keys.OWN].browser.level(
        bucket, asked.prefix, after=cursors.read(asked.after, listing), limit=asked.limit
    )
    return web.json_response(
        {
            "bucket": bucket,
            "prefix": asked.prefix,
            "folders": level.folders,
            "objects": [
                {
                    "key": each.key,
                    "bytes": each.size,
                    "modified": utc(each.mtime),
                    "storage_class": each.storage_class,
                }
                for each in level.objects
            ],
            "next": cursors.give(level.following, listing),
        }
    )


async def totals(request: web.Request) -> web.Response:
    """GET /buckets/{bucket}/totals: how much lies in a folder and below, as far as it was counted."""
    bucket, asked = _bucket(request), read_query(request, Counting)
    listing, cursors = f"totals {bucket} {asked.prefix}", request.app[keys.CURSORS]
    counted = await request.app[keys.OWN].browser.totals(
        bucket,
        asked.prefix,
        after=cursors.read(asked.after, listing),
        most_keys=MOST_COUNTED,
        most_seconds=MOST_SECONDS,
    )
    return web.json_response(
        {
            "bucket": bucket,
            "prefix": asked.prefix,
            "entries": counted.entries,
            "bytes": counted.bytes,
            "next": cursors.give(counted.following, listing),
        }
    )


def _bucket(request: web.Request) -> str:
    """The bucket in the request's path; raises InvalidRequest, and Forbidden where the caller may not use it."""
    name = request.match_info["bucket"]
    try:
        named = parse_url(f"s3://{name}/").bucket
    except ValueError as error:
        raise InvalidRequest(f"bucket: {error}") from None
    if named != name:
        raise InvalidRequest(f"bucket: {name[:200]!r} is not a bucket's name")
    require_buckets(request, [name])
    return name
