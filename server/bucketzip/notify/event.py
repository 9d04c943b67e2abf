"""What has happened, as callbacks and mails tell it: made of the job or the link at the moment it is sent."""

import time
from dataclasses import dataclass
from urllib.parse import quote

from bucketzip.jobs.model import as_json, error_detail
from bucketzip.notify.failure import NotDelivered
from bucketzip.plan.downloads import error_detail as error_detail_of_link
from bucketzip.plan.remedies import as_fields
from bucketzip.state.capabilities import Capabilities
from bucketzip.state.deliveries import Delivery
from bucketzip.state.job_states import State
from bucketzip.state.jobs import Job, Jobs
from bucketzip.state.links import Link, Links


@dataclass(frozen=True, kw_only=True)
class Event:
    """The end of a job, or of the planning of a link. Times are seconds since 1970."""

    id: str
    """The same at every attempt to tell it."""
    type: str
    """`archive.succeeded`, `archive.failed`, `archive.cancelled`, `download.ready` or `download.failed`."""
    at: int
    owner: str
    name: str
    """Of the archive, for people. It may hold any character."""
    bytes: int | None
    entries: int | None
    url: str | None
    """The link to what was made; None where nothing was, or where nobody knows how users reach this server."""
    url_expires_at: int | None
    """Known where a link would be."""
    error: str | None
    """Why it failed."""
    data: dict[str, object]
    """The job, as GET tells it, or the link."""

    def as_json(self) -> dict[str, object]:
        """For programs."""
        link = None if self.url is None else {"url": self.url, "expires_at": _utc(self.url_expires_at)}
        return {"id": self.id, "type": self.type, "time": _utc(self.at), "link": link, "data": self.data}


class Events:
    """Looks up what deliveries are about. `public_url` is how users reach this server, or empty."""

    def __init__(self, jobs: Jobs, links: Links, capabilities: Capabilities, public_url: str) -> None:
        self._jobs = jobs
        self._links = links
        self._capabilities = capabilities
        self._public_url = public_url

    async def of(self, delivery: Delivery) -> Event:
        """What is to be told; raises NotDelivered where the job or the link is gone."""
        if delivery.job_id is not None:
            if job := await self._jobs.get(delivery.job_id):
                return self._of_job(delivery, job)
        elif link := await self._links.find(delivery.about):
            return self._of_link(delivery, link)
        raise NotDelivered("it was forgotten meanwhile", final=True)

    def _of_job(self, delivery: Delivery, job: Job) -> Event:
        finished_at = job.finished_at or delivery.created_at
        succeeded = job.state is State.SUCCEEDED
        capability = self._capabilities.of_result(job.id)
        url = f"{self._public_url}/r/{capability}" if succeeded and self._public_url else None
        return Event(
            id=delivery.id,
            type=delivery.event,
            at=finished_at,
            owner=job.owner,
            name=job.key.rpartition("/")[2],
            bytes=job.bytes,
            entries=job.entries,
            url=url,
            url_expires_at=job.result_expires_at,
            error=error_detail(job, as_fields) or None,
            data=as_json(job, finished_at, link=url),
        )

    def _of_link(self, delivery: Delivery, link: Link) -> Event:
        ready = delivery.event == "download.ready"
        capability = self._capabilities.of_download(link.id)
        path = f"/d/{capability}/{quote(link.filename, safe='')}"
        return Event(
            id=delivery.id,
            type=delivery.event,
            at=delivery.created_at,
            owner=link.owner,
            name=link.filename,
            bytes=link.bytes,
            entries=link.entries,
            url=f"{self._public_url}{path}" if ready and self._public_url else None,
            url_expires_at=link.expires_at,
            error=error_detail_of_link(link) or None,
            data={
                "id": link.id,
                "state": link.state,
                "filename": link.filename,
                "created_at": _utc(link.created_at),
                "expires_at": _utc(link.expires_at),
                "bytes": link.bytes,
                "entries": link.entries,
                "error": {"code": link.error_code, "detail": error_detail_of_link(link)} if link.error_code else None,
            },
        )


def _utc(seconds: int | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
