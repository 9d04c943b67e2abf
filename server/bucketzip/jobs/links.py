"""Links to what jobs made. Each is a capability, and leads to a URL that is signed anew whenever it is followed."""

import json
import math
import time

from bucketzip.errors import NoSuchLink
from bucketzip.jobs.accounts import WritingAccount
from bucketzip.jobs.ports import Destination, Follow, Made
from bucketzip.jobs.result import refuse_unready
from bucketzip.plan.accounts import Accounts
from bucketzip.state.capabilities import Capabilities, hash_capability
from bucketzip.state.jobs import Job, Jobs

SIGNED_SECONDS = 3600
"""For how long a signed URL works. A download that has begun goes on; another one is only a redirect away."""


class ResultLinks:
    """Of the jobs of a machine."""

    def __init__(self, jobs: Jobs, accounts: Accounts[WritingAccount], capabilities: Capabilities) -> None:
        self._jobs = jobs
        self._accounts = accounts
        self._capabilities = capabilities

    def path(self, job: Job) -> str | None:
        """What stands behind a server's address in the link; None for a job of an earlier release."""
        return None if job.result_capability_hash is None else f"/r/{self._capabilities.of_result(job.id)}"

    async def job(self, capability: str) -> Job:
        """The job whose result a capability gives; raises NoSuchLink."""
        job = await self._jobs.by_result(hash_capability(capability))
        if job is None:
            raise NoSuchLink
        return job

    async def signed_url(self, job: Job, follow: Follow) -> str:
        """Where the link leads now; raises what keeps it from leading anywhere."""
        now = time.time()
        refuse_unready(job, now)
        assert job.result is not None
        assert job.result_expires_at is not None
        made = Made(Destination(job.bucket, job.key), json.loads(job.result)["version_id"] or "", job.token)
        seconds = min(follow.seconds, math.ceil(job.result_expires_at - now))
        async with self._accounts.using(job.credential) as account:
            return await account.multipart.signed_url(made, follow._replace(seconds=seconds))
