"""Whose the credentials are, by STS, which needs no permission for it."""

from botocore.exceptions import BotoCoreError, ClientError

from bucketzip.errors import S3Error
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.roles import STS_CONFIG


class S3Whoami:
    """Implements `doctor.ports.Whoami`."""

    def __init__(self, keeper: CredentialKeeper, region: str) -> None:
        self._keeper = keeper
        self._region = region

    @property
    def method(self) -> str:
        """By the port."""
        return self._keeper.method

    @property
    def expire_at(self) -> float | None:
        """By the port."""
        return self._keeper.expire_at

    def key_id(self) -> str:
        """By the port."""
        return self._keeper.current().access_key

    async def principal(self) -> str:
        """By the port."""
        session = await self._keeper.read_session("sts")
        try:
            async with session.create_client("sts", region_name=self._region, config=STS_CONFIG) as sts:
                return str((await sts.get_caller_identity())["Arn"])
        except (BotoCoreError, ClientError, OSError) as error:
            raise S3Error(str(error)) from error
