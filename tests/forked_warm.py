"""All that a process of ours reads before its first request to S3, read where commands are forked from: 0.2 s for each.

Nothing of it is changed afterwards, and what is there before a fork no child looks through for garbage.
"""

import asyncio
import gc
from contextlib import suppress

from bucketzip.errors import BucketzipError
from bucketzip.s3.client import Where, open_s3, tls_context
from bucketzip.s3.credentials import CredentialKeeper, these_keys
from bucketzip.s3.straight import StraightSession


async def read_all() -> None:
    """What botocore knows of S3, and whom to trust."""
    tls_context()
    StraightSession(verify=True)._build_verify_context()
    async with open_s3(CredentialKeeper(these_keys("", "", None)), max_connections=1, where=Where("us-east-1")):
        pass


with suppress(BucketzipError):  # by the variables of the first test that wants a command, which may be wrong on purpose
    asyncio.run(read_all())
gc.collect()
gc.freeze()
