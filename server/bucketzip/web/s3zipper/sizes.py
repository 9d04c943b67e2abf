"""Sizes as S3Zipper writes them, in SI units: "29 B", "9.1 kB", "83 MB"; and as its clients write them."""

import re
from decimal import Decimal

_UNITS = "kMGTPE"
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(?:([kmgtpe])(i?))?b?", re.IGNORECASE)


def human_size(size: int) -> str:
    """A size for people: one decimal below 10, none above."""
    if size < 1000:  # noqa: PLR2004  -- SI
        return f"{size} B"
    power = min((len(str(size)) - 1) // 3, len(_UNITS))
    tenths = (size * 10 + 1000**power // 2) // 1000**power
    number = f"{tenths // 10}.{tenths % 10}" if tenths < 100 else f"{(tenths + 5) // 10}"  # noqa: PLR2004  -- 10.0
    return f"{number} {_UNITS[power - 1]}B"


def parse_size(text: str) -> int | None:
    """Bytes: "10MB" are 10,000,000 and "10 MiB" 10,485,760, in any case; None where it is no size."""
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    number, unit, binary = found.groups()
    power = _UNITS.lower().index(unit.lower()) + 1 if unit else 0
    return int(Decimal(number) * (1024 if binary else 1000) ** power)
