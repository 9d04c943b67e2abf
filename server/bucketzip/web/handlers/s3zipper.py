"""S3Zipper's calls: its clients work unchanged. `docs/s3zipper.md` tells what is known of each, and what is our choice.

A start answers with ids as soon as the request can be read. What goes wrong later is told by the task, in `zipstate`.
"""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import aclosing
from functools import partial

from aiohttp import web

from bucketzip.archive.manifest import ManifestError
from bucketzip.errors import InvalidRequest, RequestTooLarge
from bucketzip.plan.request import ZipRequest
from bucketzip.web import keys
from bucketzip.web.auth import issue_token
from bucketzip.web.bodies import in_time
from bucketzip.web.permission import require_buckets, require_permitted
from bucketzip.web.s3zipper import documents, mapper, mapping
from bucketzip.web.s3zipper.fields import Fields
from bucketzip.web.s3zipper.lookup import find
from bucketzip.web.s3zipper.sizes import human_size
from bucketzip.web.s3zipper.tasks import Kind, NoSuchTask, TaskId, find_ids, task_uuid

SIZE_WAIT_SECONDS = 3.0
"""How long a start waits for the size of what goes in, which takes a listing of it all."""
UNKNOWN_SIZE = "unknown"
MAX_START_BYTES = 1 << 20
MAX_IDS_BYTES = 64 << 10
"""Of a call about tasks: it is held for as long as the call waits."""

_pretty = partial(json.dumps, indent=1, ensure_ascii=False)


async def token(request: web.Request) -> web.Response:
    """POST /gentoken and /tokenv2."""
    fields = Fields(await _document(request, MAX_IDS_BYTES))
    user_key, user_secret = fields.text("userKey"), fields.text("userSecret")
    if user_key is None or user_secret is None:
        raise InvalidRequest("userKey and userSecret: both are needed")
    return _answer({"token": await issue_token(request, user_key, user_secret)})


async def start_archive_v1(request: web.Request) -> web.Response:
    """POST /v1/zipstart."""
    return await _start_archive(request, "chainTaskUUID", "streams3")


async def start_archive(request: web.Request) -> web.Response:
    """POST /v2/zipstart and /v2/s3zip."""
    return await _start_archive(request, "taskUUID", "streams3v2")


async def start_download_v1(request: web.Request) -> web.Response:
    """POST /v1/streamzip."""
    return await _start_download(request, "chainTaskUUID")


async def start_download(request: web.Request) -> web.Response:
    """POST /v2/streamzip."""
    return await _start_download(request, "taskUUID")


async def state(request: web.Request) -> web.Response:
    """POST /v1/zipstate, /v2/zipstate and /v2/status: how the archive stands, whatever else is named."""
    ids = await _ids(request)
    found = await find(request, next((each for each in ids if not each.is_mail), ids[0]))
    return _answer(found.task().as_json())


async def result(request: web.Request) -> web.Response:
    """POST /v1/zipresult and /v2/zipresult: what the last task of the chain comes to, once it is over."""
    ids = await _ids(request)
    found = await find(request, next((each for each in ids if each.is_mail), ids[-1]))
    return _answer({"results": [await found.result()]})


async def _start_archive(request: web.Request, chain: str, name: str) -> web.Response:
    fields = Fields(await _document(request, MAX_START_BYTES))
    renames = await _renames(request, fields)
    acl = request.headers.get("x-amz-acl")
    wanted = await asyncio.to_thread(mapping.archive_request, fields, renames, acl)
    require_permitted(request, wanted)
    with mapping.speaking_their_words():
        job, _ = await request.app[keys.ARCHIVE_JOBS].create(wanted, request[keys.CALLER].owner)
    tasks = _tasks(name, Kind.ARCHIVE, job.id, wanted)
    return _started(chain, tasks, await _size(request, _manifest_of_job(request, job.id), job.credential))


async def _start_download(request: web.Request, chain: str) -> web.Response:
    fields = Fields(await _document(request, MAX_START_BYTES))
    wanted = await asyncio.to_thread(mapping.download_request, fields, await _renames(request, fields))
    require_permitted(request, wanted)
    with mapping.speaking_their_words():
        capability, link = await request.app[keys.DOWNLOADS].create(wanted, request[keys.CALLER].owner)
    tasks = _tasks("idurl", Kind.DOWNLOAD, link.id, wanted)
    return _started(chain, tasks, await _size(request, _manifest_of_link(request, capability), link.credential))


def _tasks(name: str, kind: Kind, our_id: str, wanted: ZipRequest) -> dict[str, str]:
    """The ids by their tasks' names, in the order of the chain."""
    tasks = {name: task_uuid(kind, our_id)}
    return tasks if wanted.email is None else {**tasks, "email": task_uuid(Kind.MAIL, our_id)}


def _started(chain: str, tasks: dict[str, str], size: str) -> web.Response:
    """What a start answers. `zipID` is for the clients of the AMI, where ids have nothing in front."""
    answer = {"message": "STARTED", "size": size, chain: [{name: uuid} for name, uuid in tasks.items()]}
    if chain == "taskUUID":
        answer["zipID"] = next(iter(tasks.values())).rpartition("_")[2]
    return _answer(answer)


async def _manifest_of_job(request: web.Request, job_id: str) -> str | None:
    async with aclosing(request.app[keys.ARCHIVE_JOBS].watch(job_id)) as changes:
        async for job in changes:
            if job.manifest is not None:
                return job.manifest
    return None


async def _manifest_of_link(request: web.Request, capability: str) -> str | None:
    link = await request.app[keys.DOWNLOADS].planned(capability, SIZE_WAIT_SECONDS)
    return None if link is None else link.manifest


async def _size(request: web.Request, planned: Coroutine[None, None, str | None], sealed: str | None) -> str:
    """The size of all that goes in, for people; unknown where that takes long, or fails.

    `sealed` are the credentials as they came: of what is over by now they may be forgotten.
    """
    try:
        async with asyncio.timeout(SIZE_WAIT_SECONDS):
            digest = await planned
            if digest is None:
                return UNKNOWN_SIZE
            async with request.app[keys.ACCOUNTS].using(sealed) as account:
                opened = await account.archives.get(digest)
                return human_size(await asyncio.to_thread(sum, opened.layout.manifest.sizes))
    except (TimeoutError, FileNotFoundError, ManifestError):
        return UNKNOWN_SIZE


async def _renames(request: web.Request, fields: Fields) -> list[dict[str, str]]:
    """What the document says that `fileMapper` names. It is read now: clients delete it as soon as they may."""
    place = mapping.mapper_place(fields)
    if place is None:
        return []
    require_buckets(request, place[:1])
    with mapping.speaking_their_words():
        sealed = request.app[keys.SEALING].seal(mapping.key_credentials(fields))
    async with request.app[keys.ACCOUNTS].using(sealed) as account:
        content = await account.small_objects.read(*place, most_bytes=mapper.MAX_MAPPER_BYTES)
    return await asyncio.to_thread(mapper.parse_mapper, content, fields.text("awsBucket"))


async def _ids(request: web.Request) -> list[TaskId]:
    ids = find_ids(await _document(request, MAX_IDS_BYTES))
    if not ids:
        raise NoSuchTask("no id of a task was sent: send the answer of zipstart or streamzip as it came")
    return ids


async def _document(request: web.Request, most_bytes: int) -> documents.Document:
    try:
        async with in_time(request):
            body = await request.clone(client_max_size=most_bytes).read()  # the clone goes, and the body with it
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestTooLarge(f"the request body is over {most_bytes >> 10:,} KiB") from error
    # 10,000 paths, or a MiB of escapes, take up to a second: no download may stand still for so long.
    return await asyncio.to_thread(documents.parse, body, request.headers.get("Content-Type", ""))


def _answer(document: object) -> web.Response:
    return web.json_response(document, dumps=_pretty)
