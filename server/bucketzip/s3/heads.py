"""HEAD of an object. A refusal of it has no text, so it does not tell whether the keys are at fault."""

from typing import TYPE_CHECKING, Any

from bucketzip.errors import (
    AccessDenied,
    BucketzipError,
    CredentialsExpired,
    KeysExpired,
    KeysRefused,
    S3Error,
    S3Unreachable,
    SlowDown,
)
from bucketzip.s3.client import S3
from bucketzip.s3.errors import OURS, crossing

if TYPE_CHECKING:  # stubs, for the type checker alone
    from types_aiobotocore_s3.type_defs import HeadObjectOutputTypeDef


async def head_object(s3: S3, bucket: str, key: str, **more: Any) -> "HeadObjectOutputTypeDef":
    """What S3 tells of an object, or our error. `more` goes to HeadObject as it is."""
    try:
        with crossing(f"s3://{bucket}/{key}"):
            return await s3.client.head_object(Bucket=bucket, Key=key, **more)
    except (AccessDenied, S3Error) as error:
        if s3.keeper.whose is OURS or isinstance(error, S3Unreachable | SlowDown):
            raise
        await _blame_keys(s3, bucket, error)
        raise


async def _blame_keys(s3: S3, bucket: str, error: BucketzipError) -> None:
    """Raise what S3 says of the keys, asked so that it may say it."""
    try:
        with crossing(f"s3://{bucket}"):
            await s3.client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except (CredentialsExpired, KeysExpired, KeysRefused) as cause:
        raise cause from error
    except BucketzipError:
        return
