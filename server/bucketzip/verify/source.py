"""Where a manifest comes from: the server, by the download link or the manifest's own URL, or a file that was saved."""

import http.client
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from bucketzip import __version__
from bucketzip.verify import CannotVerify

TIMEOUT_SECONDS = 60.0
"""The server waits for a plan for some 20 s before it answers."""
_ERROR_BYTES = 64 << 10

_LINK = re.compile(r"(?P<base>.*/d/[^/]+/)[^/]+")


def is_url(place: str) -> bool:
    """Whether it is an address and no path."""
    return re.match(r"https?://", place, re.IGNORECASE) is not None


def manifest_url(url: str) -> str:
    """The manifest's address, from that or from the download link; any other stays as it is."""
    return _beside(url, "manifest.json") or url


def download_url(place: str, filename: str) -> str | None:
    """The download link that a manifest's address belongs to; None where it is not a server's."""
    return _beside(place, quote(filename, safe="")) if is_url(place) else None


def _beside(url: str, name: str) -> str | None:
    parts = urlsplit(url)
    found = _LINK.fullmatch(parts.path)
    return urlunsplit(parts._replace(path=found["base"] + name)) if found else None


@contextmanager
def opened(place: str) -> Iterator[BinaryIO]:
    """The manifest, to be read as often as need be; raises CannotVerify and OSError.

    What comes from a server is kept in a nameless file meanwhile: to read an archive may take hours.
    """
    if is_url(place):
        with tempfile.TemporaryFile() as file:
            _fetch(place, file)
            file.seek(0)
            yield file
    else:
        with Path(place).open("rb") as saved:
            yield saved


def _fetch(place: str, file: BinaryIO) -> None:
    url = place
    try:
        url = manifest_url(place)
        request = Request(url, headers={"User-Agent": f"bucketzip/{__version__}", "Accept": "application/json"})  # noqa: S310  -- see is_url
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            start = answer.read(1)
            if start != b"{":  # and it may be as long as an archive
                raise CannotVerify(f"{url}: this is no manifest.json")
            file.write(start)
            shutil.copyfileobj(answer, file, 1 << 20)
    except HTTPError as error:
        with error:
            raise CannotVerify(f"{url}: {_said(error)}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise CannotVerify(f"{url}: {reason}") from error


def _said(error: HTTPError) -> str:
    """What the server says is wrong."""
    try:
        said = json.loads(error.read(_ERROR_BYTES))
        return f"{said['detail']} ({error.code} {said['error']})"
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
