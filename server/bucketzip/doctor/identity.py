"""Checks of the credentials: where they come from, whose they are, and for how long."""

import time
from datetime import UTC, datetime

from bucketzip.doctor.finding import Check, Finding, ok, unknown, warning
from bucketzip.doctor.ports import Whoami
from bucketzip.errors import BucketzipError

SOON_SECONDS = 300.0
"""botocore renews long before, so what ends so soon is not renewed."""

_SOURCES = {
    "env": "environment variables",
    "shared-credentials-file": "~/.aws/credentials",
    "config-file": "~/.aws/config",
    "iam-role": "the role of this instance",
    "container-role": "the role of this container",
    "assume-role": "a role that the profile assumes",
    "assume-role-with-web-identity": "a role assumed with a web identity",
    "sso": "IAM Identity Center",
    "custom-process": "the process that the profile names",
    "login": "`aws login`",
}


def identity_checks(who: Whoami, *, sts: bool) -> list[Check]:
    """All of them; the principal is asked for only where there is an STS to ask."""
    credentials = Check("credentials", lambda: _credentials(who))
    return [credentials, Check("principal", lambda: _principal(who, sts=sts), after=(credentials,))]


async def _credentials(who: Whoami) -> Finding:
    key_id = who.key_id()
    source = _SOURCES.get(who.method, who.method)
    said = f"from {source}, access key ...{key_id[-4:]}"
    facts = {"source": who.method, "access_key_ends": key_id[-4:]}
    if who.expire_at is None:
        return ok(said, **facts, expire_at=None)
    ends = datetime.fromtimestamp(who.expire_at, UTC)
    said += f", until {ends:%Y-%m-%d %H:%M:%S} UTC"
    facts["expire_at"] = f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    if who.expire_at - time.time() < SOON_SECONDS:
        return warning(said, "they are about to expire: see why they are not renewed", **facts)
    return ok(said, **facts)


async def _principal(who: Whoami, *, sts: bool) -> Finding:
    if not sts:
        return unknown("this S3 is not AWS's, so there is no STS to ask")
    try:
        arn = await who.principal()
    except BucketzipError as error:
        return unknown(f"STS could not be asked: {error}", "nothing but requests that name a role needs STS")
    return ok(arn, arn=arn)
