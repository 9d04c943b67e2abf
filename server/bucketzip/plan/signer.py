"""Whom S3 takes this server for, and where that S3 is, for people who wonder. A port; `s3/signer.py` implements it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bucketzip.errors import BucketzipError


class Signer(NamedTuple):
    """What is known at a moment. Nothing of it is a secret."""

    region: str
    """Of whatever is not told by its bucket."""
    endpoint: str
    source: str | None
    """Where the credentials come from, as botocore calls it (`iam-role`, `env` ...); None where there are none."""
    principal: str | None
    """The ARN, where STS told it."""
    expires_at: float | None
    """Seconds since 1970; None where that is not known, or never."""
    problem: BucketzipError | None
    """Why there are no credentials, or why they could not be renewed."""


TellSigner = Callable[[], Awaitable[Signer]]
