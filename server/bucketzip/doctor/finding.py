"""A check, and what it found."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bucketzip.doctor.policy import Grant

CHECK_SECONDS = 20.0


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, though not as well as it could."""
    FAILED = "failed"
    """Something that was asked for will fail."""
    UNKNOWN = "unknown"
    """It cannot be told from here."""


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    outcome: Outcome
    said: str
    todo: str = ""
    """What to do about it."""
    missing: tuple[Grant, ...] = ()
    """Permissions that would mend it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What programs may want of it."""
    untried: bool = False
    """There was nothing to try it with."""

    @property
    def blocks(self) -> bool:
        """Whether checks behind this one have nothing to go by."""
        return self.untried or self.outcome is Outcome.FAILED


def ok(said: str, **facts: Any) -> Finding:
    return Finding(Outcome.OK, said, facts=facts)


def warning(said: str, todo: str, *missing: Grant, **facts: Any) -> Finding:
    return Finding(Outcome.WARNING, said, todo, missing, facts)


def failed(said: str, todo: str = "", *missing: Grant, **facts: Any) -> Finding:
    return Finding(Outcome.FAILED, said, todo, missing, facts)


def unknown(said: str, todo: str = "", *missing: Grant, **facts: Any) -> Finding:
    return Finding(Outcome.UNKNOWN, said, todo, missing, facts)


def untried(why: str) -> Finding:
    return Finding(Outcome.UNKNOWN, why, untried=True)


@dataclass(frozen=True, eq=False)
class Check:
    """One question. `look` may raise our errors, which are failures then."""

    name: str
    look: Callable[[], Awaitable[Finding]]
    about: str = ""
    """The bucket or folder, as `s3://...`, where it is about one."""
    after: tuple["Check", ...] = ()
    """Without these there is no answer."""
    seconds: float = CHECK_SECONDS
