"""Users of the run's SeaweedFS with keys of their own, which may use one bucket each."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiobotocore.session import AioSession
from botocore.exceptions import ClientError

from tests.bucket import session
from tests.servers.s3_server import S3Server


class Keys(NamedTuple):
    """Of one user."""

    access_key: str
    secret_key: str

    def as_request(self, **more: str) -> dict[str, str]:
        """As a request brings them."""
        return {"access_key_id": self.access_key, "secret_access_key": self.secret_key, **more}


class Identity:
    """A user, who may be locked out."""

    def __init__(self, iam: Any, name: str, keys: Keys) -> None:
        self._iam = iam
        self._name = name
        self.keys = keys

    async def lock_out(self) -> None:
        """S3 knows the keys no more."""
        await self._iam.delete_access_key(UserName=self._name, AccessKeyId=self.keys.access_key)


@asynccontextmanager
async def new_identity(server: S3Server, *buckets: str) -> AsyncIterator[Identity]:
    """A user who may do anything with these buckets, and nothing else."""
    made: AioSession = session()
    async with made.create_client(
        "iam",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    ) as iam:
        name = f"user-{uuid.uuid4().hex}"
        await iam.create_user(UserName=name)
        found = (await iam.create_access_key(UserName=name))["AccessKey"]
        resources = [f"arn:aws:s3:::{bucket}{rest}" for bucket in buckets for rest in ("", "/*")]
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": resources}],
        }
        await iam.put_user_policy(UserName=name, PolicyName="buckets", PolicyDocument=json.dumps(policy))
        keys = Keys(found["AccessKeyId"], found["SecretAccessKey"])
        await _known(server, keys, buckets[0])
        yield Identity(iam, name, keys)


async def _known(server: S3Server, keys: Keys, bucket: str) -> None:
    """The server takes a moment to hear of them."""
    async with (
        asyncio.timeout(120),
        session().create_client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name=server.region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
        ) as s3,
    ):
        while True:
            try:
                await s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
            except ClientError:
                await asyncio.sleep(0.02)
            else:
                return
