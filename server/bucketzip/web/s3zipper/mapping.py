"""S3Zipper's fields -> the one request model of this server."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bucketzip import wording
from bucketzip.errors import BucketzipError, InvalidRequest, OverLimit
from bucketzip.plan.request import DAY_SECONDS, ArchiveRequest, DownloadRequest, KeyCredentials, parse_destination
from bucketzip.web.s3zipper import paths
from bucketzip.web.s3zipper.fields import Fields

M = TypeVar("M", bound=BaseModel)

Renames = Sequence[Mapping[str, str]]
SHOWN = 10
"""How many mistakes an error tells."""

_CALLED = {
    "sources": "filePaths",
    "rename": "fileMapper",
    "email": "resultsEmail",
    "filename": "zipFileName",
    "expires_in": "expireLink",
    "link_expires_in": "expireLink",
    "destination": "zipTo",
    "access_key_id": "awsKey",
    "secret_access_key": "awsSecret",
    "session_token": "awsToken",
    "region": "awsRegion",
    "endpoint": "awsEndpoint",
    "credentials.endpoint": "awsEndpoint",
    "max_bytes": "maxFileSize",
    "max_entries": "maxFileCount",
    "acl": "x-amz-acl",
}


def archive_request(fields: Fields, renames: Renames, acl: str | None) -> ArchiveRequest:
    """What zipstart asks for; raises InvalidRequest.

    An object of the given name is written over, as S3Zipper does it: its clients write to the same key again and again,
    and would not know what to do about a refusal. A name that nobody gave writes nothing over.
    """
    values = _zip_request(fields, renames)
    bucket, files = fields.text("awsBucket"), fields.texts("filePaths")
    home = paths.locate(files[0], bucket)[0]
    url, named = paths.destination(fields.text("zipTo"), fields.text("zipFileName"), bucket, home)
    values |= {"destination": url, "if_exists": "replace" if named else "rename", "acl": acl}
    return _checked(ArchiveRequest, {**values, "link_expires_in": fields.hours("expireLink") or DAY_SECONDS})


def download_request(fields: Fields, renames: Renames) -> DownloadRequest:
    """What streamzip asks for; raises InvalidRequest."""
    values = _zip_request(fields, renames)
    name = fields.text("zipFileName") or (fields.text("zipTo") or "").rstrip("/") or paths.DEFAULT_NAME
    values |= {"filename": name.rpartition("/")[2] or paths.DEFAULT_NAME}
    return _checked(DownloadRequest, {**values, "expires_in": fields.hours("expireLink") or DAY_SECONDS})


def key_credentials(fields: Fields) -> KeyCredentials | None:
    """The client's own keys; None where it brings none, and the server's own serve. Raises InvalidRequest."""
    key, secret = fields.text("awsKey"), fields.text("awsSecret")
    token, endpoint = fields.text("awsToken"), fields.text("awsEndpoint")
    if key is None and secret is None:
        if token is not None or endpoint is not None:
            raise InvalidRequest("awsToken and awsEndpoint need awsKey and awsSecret")
        return None
    if key is None or secret is None:
        raise InvalidRequest("awsKey and awsSecret: both, or none of them where this server's role is to be used")
    if endpoint is not None and "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    values = {"access_key_id": key, "secret_access_key": secret, "session_token": token}
    return _checked(KeyCredentials, {**values, "region": fields.text("awsRegion"), "endpoint": endpoint})


def mapper_place(fields: Fields) -> tuple[str, str] | None:
    """Bucket and key of the document that `fileMapper` names, if there is one; raises InvalidRequest."""
    place = fields.text("fileMapper")
    if place is None:
        return None
    bucket, key = paths.locate(place, fields.text("awsBucket"))
    try:
        return parse_destination(f"s3://{bucket}/{key}")
    except ValueError as error:
        raise InvalidRequest("fileMapper: bucket/key of a JSON document") from error


def in_their_words(error: BucketzipError) -> BucketzipError:
    """The error by the client's name for a field, where its text begins with one of ours; else as it is."""
    first, space, rest = str(error).partition(" ")
    field = first.removesuffix(":")
    if not isinstance(error, InvalidRequest | OverLimit) or field not in _CALLED:
        return error
    return type(error)(f"{_CALLED[field]}{first.removeprefix(field)}{space}{rest}")


@contextmanager
def speaking_their_words() -> Iterator[None]:
    """For what refuses the request of a client and knows only our names for its fields."""
    try:
        yield
    except InvalidRequest as error:
        raise in_their_words(error) from error


def _zip_request(fields: Fields, renames: Renames) -> dict[str, Any]:
    bucket, files = fields.text("awsBucket"), fields.texts("filePaths")
    if not files:
        raise InvalidRequest("filePaths: name what goes into the archive, as bucket/key, bucket/folder or bucket")
    bucket_as_dir = fields.flag("bucketAsDir")
    return {
        "sources": [paths.source(each, bucket, bucket_as_dir=bucket_as_dir) for each in files],
        "rename": list(renames),
        "max_bytes": fields.size("maxFileSize"),
        "max_entries": fields.count("maxFileCount"),
        "credentials": key_credentials(fields),
        "email": fields.text("resultsEmail"),
    }


def _checked(model: type[M], values: Mapping[str, object]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_url=False, include_context=False)
        said = "; ".join(_said(each) for each in mistakes[:SHOWN])
        more = len(mistakes) - SHOWN
        raise InvalidRequest(said + (f"; and {more} more" if more > 0 else "")) from None


def _said(mistake: ErrorDetails) -> str:
    return f"{_called(mistake['loc'])}: {wording.mistake(mistake['msg'])}"


def _called(location: tuple[int | str, ...]) -> str:
    """A field by the name that the client has for it."""
    name, *rest = location or ("the request",)
    place = f"[{rest[0]}]" if rest and isinstance(rest[0], int) else ""
    return f"{_CALLED.get(str(name), name)}{place}"
