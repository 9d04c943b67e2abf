"""Jobs for tests, by default one that was just accepted."""

from typing import Any

from bucketzip.plan.request import ArchiveRequest
from bucketzip.state.capabilities import new_id
from bucketzip.state.jobs import Job, new_token

NOW = 1_700_000_000


def archive_request(*sources: Any, destination: str = "s3://out/a.zip", **fields: Any) -> ArchiveRequest:
    return ArchiveRequest.model_validate(
        {"sources": list(sources) or ["s3://bucket/"], "destination": destination, **fields}
    )


def made_job(**fields: Any) -> Job:
    return Job(
        **{
            "id": new_id(),
            "owner": "somebody",
            "request": "{}",
            "request_digest": "d",
            "created_at": NOW,
            "bucket": "out",
            "key": "a.zip",
            "token": new_token(),
            **fields,
        }
    )
