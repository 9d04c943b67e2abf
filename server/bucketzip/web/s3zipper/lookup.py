"""The jobs and links behind S3Zipper's tasks: found, told about, and waited for."""

import json
import time
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from bucketzip.errors import ArchiveCancelled, BucketzipError, LinkExpired, NoSuchArchive, recorded
from bucketzip.jobs.model import Job, State
from bucketzip.plan.downloads import ended
from bucketzip.state.links import Link
from bucketzip.web import keys
from bucketzip.web.handlers.links import url_of
from bucketzip.web.origin import origin
from bucketzip.web.s3zipper.found import Found, StillRunning
from bucketzip.web.s3zipper.mails import FoundMail, mail_about
from bucketzip.web.s3zipper.mapping import in_their_words
from bucketzip.web.s3zipper.tasks import (
    OF_ARCHIVE,
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


async def find(request: web.Request, task_id: TaskId) -> Found:
    """What has this id; raises NoSuchTask, for what others have made too."""
    our_id = task_id.id
    if not task_id.is_mail:
        return await _find_archive(request, our_id)
    delivery = await mail_about(request, our_id)  # first, since the archive ends before there is one
    archive = await _find_archive(request, our_id)
    address = json.loads(archive.asked).get("email")
    if address is None:
        raise NoSuchTask
    return FoundMail(request, archive, our_id, address, delivery)


async def _find_archive(request: web.Request, our_id: str) -> "FoundJob | FoundLink":
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

    @property
    def asked(self) -> str:
        """The request for it, as JSON."""
        return self.job.request

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
        return in_their_words(recorded(self.job.error_code or "", self.job.error_detail or ""))


@dataclass
class FoundLink:
    """An archive that is made while it is downloaded."""

    request: web.Request
    link: Link

    @property
    def asked(self) -> str:
        """The request for it, as JSON."""
        return self.link.request

    def task(self) -> Task:
        """By the protocol."""
        uuid, created_at = task_uuid(Kind.DOWNLOAD, self.link.id), self.link.created_at
        if error := self._ended():
            return Task(uuid, "idurl", TaskState.FAILURE, created_at, error=failure(error))
        if self.link.state == "planning":
            return Task(uuid, "idurl", TaskState.STARTED, created_at)
        return Task(uuid, "idurl", TaskState.SUCCESS, created_at, url_of(self.request, self.link))

    async def result(self) -> str:
        """By the protocol."""
        app = self.request.app
        while self.link.standing(time.time()) == "planning":
            if app[keys.ARCHIVE_JOBS].is_closing:
                raise StillRunning
            downloads = app[keys.DOWNLOADS]
            found = await downloads.planned(downloads.capability(self.link), LOOK_SECONDS)
            if found is None:
                raise NoSuchTask
            self.link = found
        if error := self._ended():
            raise error
        return url_of(self.request, self.link)

    def _ended(self) -> BucketzipError | None:
        """Why there is no link. A task that has succeeded has, though the link has expired since."""
        error = ended(self.link, time.time(), hints=False)
        if error is None or (isinstance(error, LinkExpired) and self.link.state == "ready"):
            return None
        return in_their_words(error)
