"""What a request for an archive asks for, as jobs keep it and as `ports` has it."""

from pydantic import ValidationError

from bucketzip.errors import DestinationInSource, InvalidRequest
from bucketzip.jobs.ports import Destination, Options
from bucketzip.plan.request import ArchiveRequest, Kind
from bucketzip.state.jobs import Job


def destination(request: ArchiveRequest) -> Destination:
    """Where the archive is to go; raises DestinationInSource where one of the sources is just that object."""
    wanted = Destination(*request.bucket_and_key)
    for source in request.sources:
        if source.location == (*wanted, Kind.EITHER):
            raise DestinationInSource(
                f"{wanted.url} is a source of the archive and its destination too; name another destination"
            )
    return wanted


def options(request: ArchiveRequest) -> Options:
    """How S3 is to keep it."""
    return Options(
        storage_class=request.storage_class or "",
        sse=request.sse or "",
        kms_key=request.kms_key or "",
        acl=request.acl or "",
        content_type=request.content_type,
        tags=tuple(request.tags.items()),
        metadata=tuple(request.metadata.items()),
        if_exists=request.if_exists,
    )


def read(job: Job) -> ArchiveRequest:
    """The request of a job; raises InvalidRequest for one that this release does not understand."""
    try:
        return ArchiveRequest.model_validate_json(job.request)
    except ValidationError as error:
        raise InvalidRequest("this request was made to another release of bucketzip; make it again") from error
