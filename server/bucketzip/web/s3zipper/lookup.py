"""The jobs and links behind S3Zipper's tasks: found, told about, and waited for."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from aiohttp import web

from bucketzip.errors import ArchiveCancelled, BucketzipError, NoSuchArchive, recorded
from bucketzip.jobs.model import Job, State
from bucketzip.state.links import Link
from bucketzip.web import keys
from bucketzip.web.origin import origin
from bucketzip.web.s3zipper.tasks import (
    OF_ARCHIVE,
    OF_DOWNLOAD,
    Kind,
    NoSuchTask,
    Task,
    TaskId,
    TaskState,
    failure,
    task_uuid,
)

LOOK_SECONDS = 1.0
"""How often it is looked whether this server is to stop, while a link is waited for."""


class StillRunning(BucketzipError):
    """This server stops now, and the task goes on when it is back. Ask again in a moment."""

    status = 503
    code = "still_running"
    retryable = True
    retry_after_seconds = 5


class Found(Protocol):
    """What a task's id stands for."""

    def task(self) -> Task:
        """How it stands."""

    async def result(self) -> str:
        """Its link, once it works; raises what it ended with instead."""


async def find(request: web.Request, task_id: TaskId) -> Found:
    """What has this id; raises NoSuchTask, for what others have made too."""
    our_id = task_id.id
    try:
        job = await request.app[keys.ARCHIVE_JOBS].get(our_id)
    except NoSuchArchive:
        link = await request.app[keys.DOWNLOADS].planned(request.app[keys.CAPABILITIES].of_download(our_id), 0)
        if link is None or not request[keys.CALLER].may_see(link.owner):
            raise NoSuchTask from None
        return FoundLink(request, link)
    if not request[keys.CALLER].may_see(job.owner):
        raise NoSuchTask
    return FoundJob(request, job)


@dataclass
class FoundJob:
    """An archive that is written into a bucket."""

    request: web.Request
    job: Job

    def task(self) -> Task:
        """By the protocol."""
        uuid, state = task_uuid(Kind.ARCHIVE, self.job.id), OF_ARCHIVE[self.job.state]
        url = self._url() if state is TaskState.SUCCESS else None
        error = failure(self._error()) if state is TaskState.FAILURE else ""
        return Task(uuid, "streams3", state, self.job.created_at, url, error)

    async def result(self) -> str:
        """By the protocol."""
        async with aclosing(self.request.app[keys.ARCHIVE_JOBS].watch(self.job.id)) as changes:
            async for self.job in changes:
                pass
        if not self.job.state.is_final:
            raise StillRunning
        if self.job.state is not State.SUCCEEDED:
            raise self._error()
        return self._url()

    def _url(self) -> str:
        return f"{origin(self.request)}/r/{self.request.app[keys.CAPABILITIES].of_result(self.job.id)}"

    def _error(self) -> BucketzipError:
        if self.job.state is State.CANCELLED:
            return ArchiveCancelled()
        return recorded(self.job.error_code or "", self.job.error_detail or "")


@dataclass
class FoundLink:
    """An archive that is made while it is downloaded."""

    request: web.Request
    link: Link

    def task(self) -> Task:
        """By the protocol."""
        uuid, state = task_uuid(Kind.DOWNLOAD, self.link.id), OF_DOWNLOAD[self.link.state]
        url = self._url() if state is TaskState.SUCCESS else None
        error = failure(self._error()) if state is TaskState.FAILURE else ""
        return Task(uuid, "idurl", state, self.link.created_at, url, error)

    async def result(self) -> str:
        """By the protocol."""
        app = self.request.app
        while self.link.state == "planning":
            if app[keys.ARCHIVE_JOBS].is_closing:
                raise StillRunning
            found = await app[keys.DOWNLOADS].planned(self._capability(), LOOK_SECONDS)
            if found is None:
                raise NoSuchTask
            self.link = found
        if self.link.state != "ready":
            raise self._error()
        return self._url()

    def _capability(self) -> str:
        return self.request.app[keys.CAPABILITIES].of_download(self.link.id)

    def _url(self) -> str:
        return f"{origin(self.request)}/d/{self._capability()}/{quote(self.link.filename, safe='')}"

    def _error(self) -> BucketzipError:
        return recorded(self.link.error_code or "", self.link.error_detail or "")
