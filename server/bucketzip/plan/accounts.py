"""Whose S3 it is: the server's own, or that of the credentials that came with a request. A port.

Every link and job has an account, and everything that is done for it in S3 is done through that one.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bucketzip.plan.browsing import Browser
from bucketzip.plan.catalog import Catalog
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.signer import TellSigner
from bucketzip.plan.small_objects import SmallObjects
from bucketzip.transfer.opened import OpenArchives
from bucketzip.transfer.ports import CrcMemory
from bucketzip.transfer.pump import Engine


@dataclass(frozen=True, kw_only=True)
class Account:
    """What S3 is for one set of credentials. Nothing in it is shared with others that could mix the two up."""

    catalog: Catalog
    browser: Browser
    signer: TellSigner
    discovery: Callable[[], Discovery]
    """A new one for each plan."""
    engine: Engine
    archives: OpenArchives
    crc_memory: CrcMemory
    small_objects: SmallObjects
    origin: str = ""
    """Tells the S3 from any other, where it is not the usual one."""


A_co = TypeVar("A_co", bound=Account, covariant=True)


class Accounts(Protocol[A_co]):
    """All accounts of the machine."""

    def using(self, sealed: str | None) -> AbstractAsyncContextManager[A_co]:
        """The account of sealed credentials, or with None that of the server, for as long as the context lasts.

        Raises KeysExpired where they are not kept any more, and NotSealedHere.
        """
