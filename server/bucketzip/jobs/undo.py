"""What a job leaves in S3 that does not come to success: its upload, which is paid for until it is aborted.

Mostly it is known by its id. It is not where S3 began it and nobody heard of that: the process died, or the answer was
lost. Such an upload is looked for by its key, and by its time: it is one that was begun since the job asked for it, and
that no other job has as its own.
"""

import logging

from bucketzip.errors import AccessDenied, BucketzipError, KeysExpired, KeysRefused
from bucketzip.jobs.accounts import WritingAccount
from bucketzip.jobs.patience import MACHINE_ERRORS
from bucketzip.jobs.ports import Destination, Multipart, Upload
from bucketzip.plan.accounts import Accounts
from bucketzip.state.instance_key import NotSealedHere
from bucketzip.state.jobs import Job, Jobs

HOPELESS = (KeysExpired, KeysRefused, NotSealedHere)
"""Nobody here will have credentials for it again."""

_log = logging.getLogger(__name__)


class Undo:
    """Aborts uploads of jobs."""

    def __init__(self, jobs: Jobs, multipart: Multipart) -> None:
        self._jobs = jobs
        self._multipart = multipart

    async def upload(self, job: Job) -> None:
        """Abort the one that is known, if there is one."""
        if job.upload_id is not None:
            await self._multipart.abort(upload_of(job))

    async def unheard(self, job: Job) -> None:
        """Abort what may have been begun for a job that nobody has heard of."""
        if job.creating_at is None:
            return
        destination = Destination(job.bucket, job.key)
        try:
            found = await self._multipart.find(destination, job.creating_at)
        except AccessDenied as error:
            await self._jobs.note(job.id, f"an upload to {destination.url} may have been left behind: {error}")
            return
        # Read after S3 was asked: another job's may have been begun, and written down, meanwhile.
        others = await self._jobs.upload_ids()
        for upload_id in found:
            if upload_id not in others:
                await self._multipart.abort(Upload(destination, upload_id, checksums=False))


class Leftovers:
    """Uploads of jobs that are over, which could not be aborted when they ended: S3 was away, or they might go on."""

    def __init__(self, jobs: Jobs, accounts: Accounts[WritingAccount]) -> None:
        self._jobs = jobs
        self._accounts = accounts

    async def abort(self) -> None:
        """Try it once more, each by the account of its job."""
        for job in await self._jobs.with_leftovers():
            try:
                async with self._accounts.using(job.credential) as account:
                    undo = Undo(self._jobs, account.multipart)
                    await undo.upload(job)
                    await undo.unheard(job)
            except HOPELESS as error:
                where = Destination(job.bucket, job.key).url
                await self._jobs.note(job.id, f"an upload to {where} may have been left behind: {error}")
                await self._jobs.undone(job.id)
            except (BucketzipError, *MACHINE_ERRORS) as error:
                _log.info("an upload could not be aborted yet: %s", error, extra={"job": job.id})
            else:
                await self._jobs.undone(job.id)


def upload_of(job: Job) -> Upload:
    """The upload of a job that has one."""
    assert job.upload_id is not None
    return Upload(Destination(job.bucket, job.key), job.upload_id, checksums=bool(job.checksums))
