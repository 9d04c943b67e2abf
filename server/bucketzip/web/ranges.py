"""Which part of a representation a request asks for (RFC 9110, 13 and 14). Pure: headers in, a decision out.

aiohttp's own properties do not serve: `if_range` reads dates alone, so a stale ETag passes, and `http_range` raises for
what a server may just ignore.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*", re.IGNORECASE)
_ETAG = re.compile(r'\s*(W/)?"([^"]*)"\s*(?:,|$)')


class Outcome(Enum):
    """What the answer is."""

    FULL = auto()
    """200: all of it."""
    PARTIAL = auto()
    """206: `[start, stop)` of it."""
    NOT_MODIFIED = auto()
    """304: the client has it."""
    FAILED = auto()
    """412: it is not what the client means."""
    UNSATISFIABLE = auto()
    """416: there is no such part."""


@dataclass(frozen=True)
class Asked:
    """The decision; `[start, stop)` are the bytes to send."""

    outcome: Outcome
    start: int = 0
    stop: int = 0


def decide(headers: Mapping[str, str], *, etag: str, size: int) -> Asked:
    """What to answer to a GET or HEAD with these headers, of something with this strong ETag and size.

    Several ranges, other units and what cannot be read are answered with the whole, as the RFC allows.
    """
    whole = Asked(Outcome.FULL, 0, size)
    if (wanted := headers.get("If-Match")) is not None and not _matches(wanted, etag, weakly=False):
        return Asked(Outcome.FAILED)
    if (known := headers.get("If-None-Match")) is not None and _matches(known, etag, weakly=True):
        return Asked(Outcome.NOT_MODIFIED)
    found = _RANGE.fullmatch(headers.get("Range", ""))
    if found is None or not (found[1] or found[2]):
        return whole
    if (same := headers.get("If-Range")) is not None and same.strip() != etag:
        return whole  # another representation, or a date: this one has none
    if found[1]:
        start = int(found[1])
        stop = min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return whole
    else:
        start, stop = max(size - int(found[2]), 0), size
    return Asked(Outcome.PARTIAL, start, stop) if start < stop else Asked(Outcome.UNSATISFIABLE)


def _matches(field: str, etag: str, *, weakly: bool) -> bool:
    """Whether an If-Match or If-None-Match names this ETag; weak ones count only where the comparison is weak."""
    if field.strip() == "*":
        return True
    return any(f'"{opaque}"' == etag and (weakly or not weak) for weak, opaque in _ETAG.findall(field))
