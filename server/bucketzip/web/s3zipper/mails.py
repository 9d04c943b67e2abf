"""The mail about an archive, as the last task of its chain: it begins once the archive is made.

An archive that fails ends the chain, and so its mail fails for the same reason: that there is a mail about it, too, is
no result that a client could do anything with.
"""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from bucketzip.errors import BucketzipError
from bucketzip.state.deliveries import Delivery, Kind, State
from bucketzip.web import keys
from bucketzip.web.s3zipper import tasks
from bucketzip.web.s3zipper.found import Found, StillRunning
from bucketzip.web.s3zipper.tasks import NoSuchTask, Task, TaskState, failure, task_uuid

LOOK_SECONDS = 0.25
"""How often it is looked what became of a mail that is waited for; another process may send it."""

_OF_MADE = ("archive.succeeded", "download.ready")


class MailNotDelivered(BucketzipError):
    """The mail was not delivered, and is given up. The link is in zipstate."""

    status = 502
    code = "mail_not_delivered"


async def mail_about(request: web.Request, our_id: str) -> Delivery | None:
    """The mail that tells that a job or a link has been made; None before that."""
    deliveries = await request.app[keys.DELIVERIES].of(our_id)
    return next((each for each in deliveries if each.kind is Kind.EMAIL and each.event in _OF_MADE), None)


@dataclass
class FoundMail:
    """Implements `Found`. `archive` is what it tells of, looked up after `delivery` was."""

    request: web.Request
    archive: Found
    our_id: str
    address: str
    delivery: Delivery | None

    def task(self) -> Task:
        """By the protocol."""
        archive = self.archive.task()
        state, outcome, error = TaskState.PENDING, None, ""
        if self.delivery is None:
            if archive.state is TaskState.FAILURE:
                state, error = archive.state, archive.error
        elif self.delivery.state is State.DELIVERED:
            state, outcome = TaskState.SUCCESS, self._confirmation()
        elif self.delivery.state is State.FAILED:
            state, error = TaskState.FAILURE, failure(self._undelivered(self.delivery))
        elif self.delivery.attempts:
            state = TaskState.RETRY
        return Task(task_uuid(tasks.Kind.MAIL, self.our_id), "email", state, archive.created_at, outcome, error)

    async def result(self) -> str:
        """By the protocol."""
        await self.archive.result()
        while True:
            self.delivery = await mail_about(self.request, self.our_id)
            if self.delivery is None:  # forgotten meanwhile: it was written down with the end of the archive
                raise NoSuchTask
            if self.delivery.state is State.DELIVERED:
                return self._confirmation()
            if self.delivery.state is State.FAILED:
                raise self._undelivered(self.delivery)
            if self.request.app[keys.ARCHIVE_JOBS].is_closing:
                raise StillRunning
            await asyncio.sleep(LOOK_SECONDS)

    def _confirmation(self) -> str:
        return f"A mail with the link was sent to {self.address}."

    def _undelivered(self, delivery: Delivery) -> MailNotDelivered:
        said = delivery.attempts[-1].outcome
        return MailNotDelivered(f"the mail to {self.address} was not delivered ({said}); the link is in zipstate")
