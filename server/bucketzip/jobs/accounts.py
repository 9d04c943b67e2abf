"""An account as jobs need it: one that may also be written to."""

from dataclasses import dataclass

from bucketzip.jobs.ports import Multipart
from bucketzip.plan.accounts import Account


@dataclass(frozen=True, kw_only=True)
class WritingAccount(Account):
    """With uploads."""

    multipart: Multipart
    copies: bool = True
    """Whether its objects are where S3 may copy them from."""
