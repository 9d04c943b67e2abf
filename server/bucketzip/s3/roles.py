"""A role that is assumed with the server's own credentials, and again before its keys run out."""

from typing import cast

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials, AioRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from bucketzip import __version__
from bucketzip.errors import CredentialsExpired, RoleRefused
from bucketzip.s3.credentials import CredentialKeeper, Find
from bucketzip.s3.straight import StraightSession

SESSION_NAME = "bucketzip"
"""By it the role's account tells our requests from others, in CloudTrail."""
SESSION_SECONDS = 3600
"""The most that a role assumed with a role's credentials may have."""
_REFUSALS = frozenset({"AccessDenied", "ValidationError", "MalformedPolicyDocument", "RegionDisabledException"})
STS_CONFIG = AioConfig(
    connect_timeout=5,
    read_timeout=10,
    retries={"mode": "standard", "max_attempts": 3},  # the older ones read a file more
    user_agent_extra=f"bucketzip/{__version__}",
    http_session_cls=StraightSession,
)


def assuming(own: CredentialKeeper, role_arn: str, external_id: str | None, region: str) -> Find:
    """What a keeper finds the role's keys by: STS of the `region`, or AWS_ENDPOINT_URL_STS, asked with `own` keys."""

    async def assume() -> dict[str, str]:
        asked = {"RoleArn": role_arn, "RoleSessionName": SESSION_NAME}
        if external_id is not None:
            asked["ExternalId"] = external_id
        own.current()  # raises why there are none
        session = await own.read_session("sts")
        try:
            async with session.create_client("sts", region_name=region, config=STS_CONFIG) as sts:
                keys = (await sts.assume_role(**asked, DurationSeconds=SESSION_SECONDS))["Credentials"]
        except ClientError as error:
            said = error.response.get("Error", {})
            text = f"{role_arn}: STS says {said.get('Code', 'no')}, {said.get('Message', '')}"
            if said.get("Code") in _REFUSALS:
                raise RoleRefused(
                    f"{text}; allow sts:AssumeRole on it to this server's role, and let the role trust that one"
                    + ("" if external_id is None else " for this external id")
                ) from error
            raise CredentialsExpired(text) from error
        except (BotoCoreError, OSError) as error:
            raise CredentialsExpired(f"{role_arn}: STS could not be asked: {error}") from error
        return {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
            "expiry_time": keys["Expiration"].isoformat(),
        }

    async def find() -> AioCredentials:
        made = AioRefreshableCredentials.create_from_metadata(
            await assume(), refresh_using=assume, method="assume-role"
        )
        return cast("AioCredentials", made)  # by what is asked of it: the two are no relatives

    return find
