"""`filePaths` and `zipTo`: which bucket and key a path means, and where in the archive its objects go.

With `awsBucket` a path lies in that bucket, whether it begins with its name or not; without, it begins with a bucket's
name. `s3://bucket/key` always means what it says.
"""

import re

from bucketzip.errors import InvalidRequest

DEFAULT_NAME = "archive.zip"
_ODD = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.{1,2}(?:/|$)")


def locate(path: str, bucket: str | None) -> tuple[str, str]:
    """Bucket and key of a path; the key is empty for the whole bucket."""
    if path[:5].lower() == "s3://":
        named, _, key = path[5:].partition("/")
        return named, key
    path = path.lstrip("/")
    first, _, rest = path.partition("/")
    return (first, rest) if bucket is None or first == bucket else (bucket, path)


def source(path: str, bucket: str | None, *, bucket_as_dir: bool) -> dict[str, str]:
    """Fields of a SourceRequest: what the path means, by names with all folders of the keys."""
    named, key = locate(path, bucket)
    folders = [named] if bucket_as_dir else []
    if folder := key.rpartition("/")[0]:
        folders.append(folder)
    url = f"s3://{named}/{key}"
    return {"url": url, "prefix": "/".join(folders)} if folders else {"url": url}


def destination(zip_to: str | None, file_name: str | None, bucket: str | None, home: str) -> tuple[str, bool]:
    """The URL of the archive, and whether its name was given. `home` is the bucket where nothing names one.

    `zip_to` is the archive's key where it ends in `.zip`, else the folder for `file_name`.
    """
    named = True
    if zip_to is not None and _is_zip(zip_to):
        path = zip_to
    else:
        named = file_name is not None
        file_name = file_name or DEFAULT_NAME
        file_name = file_name.lstrip("/") if _is_zip(file_name) else f"{file_name.strip('/')}.zip"
        path = f"{zip_to.rstrip('/')}/{file_name}" if zip_to else f"s3://{home}/{file_name}"
    if _ODD.search(path):
        raise InvalidRequest("zipTo, zipFileName: no `.` or `..` in a path, no backslash and no control character")
    found, key = locate(path, bucket)
    return f"s3://{found}/{key}", named


def _is_zip(path: str) -> bool:
    return path.lower().endswith(".zip")
