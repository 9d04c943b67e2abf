"""One call of botocore's client, as everybody wants it: our errors, and new credentials where the old have expired."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bucketzip.errors import CredentialsExpired
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.errors import READING, crossing

T = TypeVar("T")


async def ask(keeper: CredentialKeeper, where: str, call: Callable[[], Awaitable[T]], *, allow: str = READING) -> T:
    """The answer to a call about `where`; it is made once again after a renewal. `allow` as in `from_s3`."""
    keys = keeper.current()
    try:
        with crossing(where, allow=allow):
            return await call()
    except CredentialsExpired:
        await keeper.renew(keys)
        with crossing(where, allow=allow):
            return await call()
