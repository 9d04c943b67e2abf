"""The document that `fileMapper` names: {"paths": [{"key": "bucket/folder/", "name": "another name"}]}."""

from bucketzip.errors import InvalidRequest
from bucketzip.plan.placing import EVERYTHING
from bucketzip.web.s3zipper import documents
from bucketzip.web.s3zipper.fields import Fields
from bucketzip.web.s3zipper.paths import locate

MAX_MAPPER_BYTES = 1 << 20


def parse_mapper(content: bytes, bucket: str | None) -> list[dict[str, str]]:
    """What `rename` of a request has; raises InvalidRequest."""
    try:
        return _renames(documents.parse(content, "application/json").get("paths"), bucket)
    except InvalidRequest as error:
        raise InvalidRequest(f"fileMapper: {error}") from error


def _renames(paths: object, bucket: str | None) -> list[dict[str, str]]:
    if not isinstance(paths, list):
        raise InvalidRequest('it has no list "paths"')
    return [_rename(each, bucket) for each in paths]


def _rename(path: object, bucket: str | None) -> dict[str, str]:
    if not isinstance(path, dict):
        raise InvalidRequest('each of "paths" is an object with "key" and "name"')
    fields = Fields(path)
    key, name = fields.text("key"), fields.text("name") or ""
    if key is None:
        raise InvalidRequest('each of "paths" has a "key"')
    if key == EVERYTHING:
        return {"folder": EVERYTHING, "name": name.strip("/")}
    return {"folder": "/".join(locate(key, bucket)).rstrip("/") + "/", "name": name.strip("/")}
