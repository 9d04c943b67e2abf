"""What openapi.yaml says, read once a run: it is 3,000 lines."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

OPENAPI = Path(__file__).parents[1] / "server/bucketzip/web/openapi.yaml"


def description() -> dict[str, Any]:
    """A copy, to do with as one likes."""
    return deepcopy(_read())


@cache
def _read() -> dict[str, Any]:
    read: dict[str, Any] = yaml.load(OPENAPI.read_text(), yaml.CSafeLoader)
    return read
