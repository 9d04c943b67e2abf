"""The one error tree: what went wrong, as a status, a code and whether asking again can help.

A class's docstring is its public text where the raiser says nothing more exact. What a raiser says is public too, so
it names sources and keys and what to do, never credentials. Foreign errors become these at the border
(`s3/errors.py`).
"""

from typing import ClassVar


class BucketzipError(Exception):
    """Something went wrong inside bucketzip; the log has the details under this request id."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    retry_after_seconds: ClassVar[int | None] = None
    about: str = ""
    """The bucket or object, as `s3://...`, where S3 said it of one."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or (self.__doc__ or "").strip())

    @property
    def headers(self) -> dict[str, str]:
        """What an HTTP answer says beside its body."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}


class InvalidRequest(BucketzipError):
    """The request is not valid."""

    status = 400
    code = "invalid_request"


class Unauthenticated(BucketzipError):
    """This needs a token."""

    status = 401
    code = "unauthenticated"

    @property
    def headers(self) -> dict[str, str]:
        """What a 401 has to say (RFC 9110, 11.6.1)."""
        return {"WWW-Authenticate": 'Bearer realm="bucketzip"'}


class Forbidden(BucketzipError):
    """You may not do that."""

    status = 403
    code = "forbidden"


class TooManyAttempts(BucketzipError):
    """Too many wrong secrets came from this address, or for this user key. Try again when `Retry-After` is over."""

    status = 429
    code = "too_many_attempts"
    retryable = True

    def __init__(self, wait_seconds: int) -> None:
        super().__init__()
        self._wait_seconds = wait_seconds

    @property
    def headers(self) -> dict[str, str]:
        """When the next attempt may come."""
        return {"Retry-After": str(self._wait_seconds)}


class RequestTimeout(BucketzipError):
    """The request did not come in time. Send its body without pausing."""

    status = 408
    code = "request_timeout"


class NotFound(BucketzipError):
    """There is nothing at this address."""

    status = 404
    code = "not_found"


class MethodNotAllowed(BucketzipError):
    """This address does not take this method."""

    status = 405
    code = "method_not_allowed"


class RequestTooLarge(BucketzipError):
    """The request body is over 1 MiB: name folders instead of all that is in them."""

    status = 413
    code = "request_too_large"


class UnsupportedEncoding(BucketzipError):
    """A request body is taken as it is, not compressed. Leave out Content-Encoding."""

    status = 415
    code = "unsupported_encoding"


class OriginNotAllowed(BucketzipError):
    """Pages of this origin may not ask for that. Add the origin to BUCKETZIP_CORS_ORIGINS if they should."""

    status = 403
    code = "origin_not_allowed"


class PreconditionFailed(BucketzipError):
    """The archive is not the one that If-Match names."""

    status = 412
    code = "precondition_failed"


class RangeNotSatisfiable(BucketzipError):
    """The archive ends before the range begins."""

    status = 416
    code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"the archive has {size} bytes")
        self._size = size

    @property
    def headers(self) -> dict[str, str]:
        """The size, as RFC 9110 has it for 416."""
        return {"Content-Range": f"bytes */{self._size}"}


class NoSuchLink(BucketzipError):
    """There is no such link, or what it led to is forgotten. Ask for a new one."""

    status = 404
    code = "no_such_link"


class LinkExpired(BucketzipError):
    """This link has expired. Ask for a new one."""

    status = 410
    code = "link_expired"


class LinkRevoked(BucketzipError):
    """This download link was revoked. Ask whoever gave it to you for a new one."""

    status = 410
    code = "link_revoked"


class StillPlanning(BucketzipError):
    """This archive is still being planned. Try again in a moment."""

    status = 503
    code = "still_planning"
    retryable = True
    retry_after_seconds = 5


class StillReading(BucketzipError):
    """The checksums that this part of the archive begins with are still being computed. Try again in a moment."""

    status = 503
    code = "still_reading"
    retryable = True
    retry_after_seconds = 5


class NoSuchArchive(BucketzipError):
    """There is no such archive job, or it was over so long ago that it was forgotten. GET /archives lists all."""

    status = 404
    code = "no_such_archive"


class ArchiveFinished(BucketzipError):
    """This archive job is over, so it cannot be cancelled any more."""

    status = 409
    code = "archive_finished"


class StillArchiving(BucketzipError):
    """The archive is not written yet. Try again in a moment."""

    status = 503
    code = "still_archiving"
    retryable = True
    retry_after_seconds = 10


class ArchiveCancelled(BucketzipError):
    """The archive was cancelled before it was written."""

    status = 410
    code = "archive_cancelled"


class NotResumable(BucketzipError):
    """Only an archive job that failed for its credentials can be resumed, and only for a while."""

    status = 409
    code = "not_resumable"


class IdempotencyConflict(BucketzipError):
    """This Idempotency-Key came with another request before. Take a new one for a new request."""

    status = 409
    code = "idempotency_conflict"


class DestinationInSource(BucketzipError):
    """The archive would be written over one of its own sources. Name another destination."""

    status = 400
    code = "destination_in_source"


class OverLimit(BucketzipError):
    """The sources hold more than the request allows. Ask for less, or raise its limit."""

    status = 400
    code = "over_limit"


class NothingToZip(BucketzipError):
    """The sources hold no objects."""

    status = 404
    code = "nothing_to_zip"


class NoSuchBucket(BucketzipError):
    """The bucket does not exist."""

    status = 404
    code = "no_such_bucket"


class NoSuchObject(BucketzipError):
    """The object does not exist."""

    status = 404
    code = "no_such_object"


class NoSuchUpload(NoSuchObject):
    """The upload is gone: somebody aborted it, or a lifecycle rule of the bucket did."""

    code = "no_such_upload"


class DestinationExists(BucketzipError):
    """There is an object at the destination already. Name another."""

    status = 409
    code = "destination_exists"


class ObjectArchived(BucketzipError):
    """The object is in an archived storage class and was not restored."""

    status = 409
    code = "object_archived"


class AccessDenied(BucketzipError):
    """The credentials of this server may not do that."""

    status = 403
    code = "access_denied"


class SourceChanged(BucketzipError):
    """An object changed since the archive was planned. Ask for the archive anew."""

    status = 409
    code = "source_changed"


class ContentMismatch(BucketzipError):
    """An object's bytes do not have the checksum that was known of them."""

    status = 502
    code = "content_mismatch"


class S3Error(BucketzipError):
    """S3 answered with an error that asking again did not help."""

    status = 502
    code = "s3_error"
    retryable = True


class S3Refused(S3Error):
    """S3 does not take the request as it is, so asking again would not help."""

    code = "s3_refused"
    retryable = False


class S3Unreachable(S3Error):
    """S3 could not be reached, or the connection to it broke again and again."""

    status = 504
    code = "s3_unreachable"


class SlowDown(S3Error):
    """S3 asks to slow down. Try again in a moment."""

    status = 503
    code = "slow_down"
    retry_after_seconds = 10


class CredentialsExpired(BucketzipError):
    """The AWS credentials of this server have expired. Renew them, or attach a role to the instance."""

    status = 503
    code = "credentials_expired"
    retryable = True
    retry_after_seconds = 30


class KeysExpired(BucketzipError):
    """The keys that came with the request have expired. Ask again with new ones; a job is resumed with them."""

    status = 403
    code = "keys_expired"


class KeysRefused(BucketzipError):
    """S3 does not take the keys that came with the request. Ask again with right ones; a job is resumed with them."""

    status = 403
    code = "keys_refused"


class RoleRefused(BucketzipError):
    """This server may not assume the role that the request names."""

    status = 403
    code = "role_refused"


class NoCredentials(BucketzipError):
    """There are no AWS credentials. Attach a role to the instance, or set AWS_PROFILE or AWS_ACCESS_KEY_ID."""

    status = 503
    code = "no_credentials"
    retryable = True
    retry_after_seconds = 30


class Unsupported(BucketzipError):
    """This server cannot do that."""

    status = 501
    code = "unsupported"


class TooBusy(BucketzipError):
    """This server is streaming as many archives as its memory allows. Try again in a moment."""

    status = 503
    code = "too_busy"
    retryable = True
    retry_after_seconds = 5


class TooManyPlans(BucketzipError):
    """This server is planning as many archives as it may at a time. Try again in a moment."""

    status = 503
    code = "too_many_plans"
    retryable = True
    retry_after_seconds = 5


class TooManyDownloads(BucketzipError):
    """As many downloads run for the user who made this link as may at a time. Try again when one is done."""

    status = 429
    code = "too_many_downloads"
    retryable = True
    retry_after_seconds = 10


class TooManyQueued(BucketzipError):
    """As many archive jobs of yours wait as may. Ask again when some are done."""

    status = 429
    code = "too_many_queued"
    retryable = True
    retry_after_seconds = 60


class TooManyEntries(BucketzipError):
    """The archive would have more entries than this server is set to plan. Make several archives of it."""

    status = 400
    code = "too_many_entries"


class TooLargeForUpload(BucketzipError):
    """The archive does not fit into one multipart upload."""

    status = 400
    code = "archive_too_large"


class StateFull(BucketzipError):
    """The space for planned archives is used up. Let links expire sooner, or raise BUCKETZIP_MANIFESTS_BYTES."""

    status = 507
    code = "state_full"


def recorded(code: str, detail: str) -> BucketzipError:
    """The error that was written down with this code and text; one that no release knows becomes the general one."""
    kinds = [BucketzipError]
    for kind in kinds:  # grows while it is walked: the whole tree
        kinds += kind.__subclasses__()
        if kind.code == code:
            return kind(detail)
    return BucketzipError(detail)
