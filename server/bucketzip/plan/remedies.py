"""What may be asked for so that it goes well the next time: a field of the request, spelt as whoever asked writes it.

The texts of errors name no field, since the same ones are read by users of the API and of the command line.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bucketzip.errors import DestinationExists, NoSuchObject, NothingToZip, ObjectArchived

_MISSING = frozenset({NoSuchObject.code, NothingToZip.code, ObjectArchived.code})


class Remedy(NamedTuple):
    """A field, and values that would help."""

    field: str
    values: tuple[str, ...]


Spell = Callable[[Remedy], str]


def remedied(code: str, detail: str, request: Mapping[str, Any], spell: Spell) -> str:
    """The text of an error that planning or a job ended with, and what may be asked for instead, if anything."""
    remedy = _remedy(code, request)
    return detail if remedy is None else f"{detail} (or ask with {spell(remedy)})"


def as_fields(remedy: Remedy) -> str:
    """As a body of JSON has it: `"on_missing": "skip"`."""
    return f'"{remedy.field}": ' + " or ".join(f'"{value}"' for value in remedy.values)


def as_options(remedy: Remedy) -> str:
    """As a command line has it: `--on-missing skip`."""
    return f"--{remedy.field.replace('_', '-')} " + " or ".join(remedy.values)


def _remedy(code: str, request: Mapping[str, Any]) -> Remedy | None:
    if code in _MISSING and request.get("on_missing") == "fail":
        return Remedy("on_missing", ("skip",))
    if code == DestinationExists.code and request.get("if_exists") == "fail":
        return Remedy("if_exists", ("replace", "rename"))
    return None
