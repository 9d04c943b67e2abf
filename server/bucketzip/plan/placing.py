"""Where in the archive an object goes: by its source, by other names for folders, or all into one folder.

Pure. What comes out is what is wanted; `archive.names` makes it safe and unique.
"""

from bucketzip.plan.request import SourceRequest, ZipRequest

EVERYTHING = "/"


class Placing:
    """That of one request. Of two renames of one folder the last counts."""

    def __init__(self, request: ZipRequest) -> None:
        self._root = request.root
        self._flatten = request.flatten
        self._names = {each.folder: each.name.strip("/") for each in request.rename}
        self._rest = self._names.pop(EVERYTHING, None)

    def file(self, path: str, key: str, source: SourceRequest) -> str:
        """The path in the archive of the object `key`, whose path in the source is `path`."""
        return _joined(self._root, self._place(path, key, source) or _last(key))

    def folder(self, path: str, key: str, source: SourceRequest) -> str | None:
        """The same for the marker of a folder; None where the archive does not have that folder."""
        placed = "" if self._flatten else self._place(path, key, source)
        return _joined(self._root, placed) if placed else None

    def beside(self, name: str) -> str:
        """The path of what has no source."""
        return _joined(self._root, name)

    def _place(self, path: str, key: str, source: SourceRequest) -> str:
        if self._flatten:
            return _joined(source.prefix, _last(path))
        renamed = self._renamed(f"{source.location.bucket}/{key}") if self._names else None
        if renamed is not None:
            return renamed
        return _joined(self._rest, _joined(source.prefix, path))

    def _renamed(self, object_path: str) -> str | None:
        """By the longest folder that has another name; None where the object `bucket/key` is in none of these."""
        end = len(object_path)
        while (end := object_path.rfind("/", 0, end)) >= 0:
            name = self._names.get(object_path[: end + 1])
            if name is not None:
                return _joined(name, object_path[end + 1 :]).rstrip("/")
        return None


def _joined(folder: str | None, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
