"""The fields of a document, typed as loosely as S3Zipper's clients type them: 24 is "24", true "true", "" nothing."""

import re
from decimal import Decimal

from bucketzip.errors import InvalidRequest
from bucketzip.plan.request import MAX_SOURCES
from bucketzip.web.s3zipper.documents import Document
from bucketzip.web.s3zipper.sizes import parse_size

HOUR_SECONDS = 3600
MAX_HOURS = 365 * 24
_TRUE = {"true", "1", "yes", "on"}
_COUNT = re.compile("[0-9]{1,18}")
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")  # a third of an hour has 16 decimals in JSON


class Fields:
    """Reads fields by name; every method raises InvalidRequest that names the field. Unknown fields are no matter."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def text(self, name: str) -> str | None:
        """One text without spaces around it; None where it is absent or empty. Of several the last counts."""
        value = self._document.get(name)
        if isinstance(value, list):
            value = value[-1] if value else None
        return _text(name, value).strip() or None

    def texts(self, name: str) -> list[str]:
        """All texts, as they are, without the empty ones."""
        value = self._document.get(name)
        values = value if isinstance(value, list) else [value]
        if len(values) > MAX_SOURCES:
            raise InvalidRequest(f"{name}: {MAX_SOURCES:,} at most; name folders instead of their objects")
        return [text for each in values if (text := _text(name, each)).strip()]

    def flag(self, name: str) -> bool:
        """Whether it says yes; anything else is no."""
        return (self.text(name) or "").lower() in _TRUE

    def hours(self, name: str) -> int | None:
        """Hours, as seconds."""
        text = self.text(name)
        if text is None:
            return None
        seconds = int(Decimal(text) * HOUR_SECONDS) if _NUMBER.fullmatch(text) else 0
        if not 60 <= seconds <= MAX_HOURS * HOUR_SECONDS:  # noqa: PLR2004  -- a minute
            raise InvalidRequest(f"{name}: hours, more than 0 and {MAX_HOURS:,} at most")
        return seconds

    def count(self, name: str) -> int | None:
        """A number; 0 is no limit, and so None."""
        text = self.text(name)
        if text is not None and not _COUNT.fullmatch(text):
            raise InvalidRequest(f"{name}: a whole number")
        return int(text) or None if text else None

    def size(self, name: str) -> int | None:
        """Bytes, which may be written "10MB" or "1.5 GiB"; 0 is no limit, and so None."""
        text = self.text(name)
        if text is None:
            return None
        size = parse_size(text)
        if size is None:
            raise InvalidRequest(f"{name}: bytes, as 1000000, 10MB or 1.5 GiB")
        return size or None


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        text = str(value)
        if text.isascii() or _is_unicode(text):
            return text
    raise InvalidRequest(f"{name}: a text, a number, true or false")


def _is_unicode(text: str) -> bool:
    """Not so half a surrogate pair, which JSON can hold and nothing can encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
