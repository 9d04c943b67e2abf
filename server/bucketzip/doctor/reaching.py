"""Checks of the way to S3: the endpoint, and what lies between."""

import asyncio
import time
from ipaddress import ip_address
from typing import Any

from bucketzip.doctor.finding import Check, Finding, failed, ok, unknown, warning
from bucketzip.doctor.looked import Looked
from bucketzip.doctor.ports import Bucket, Endpoint, Instance

SKEW_SECONDS = 60.0
MOST_SKEW_SECONDS = 900.0
"""S3 refuses signatures that are older, or from the future."""
GATEWAY_HINT = (
    "a NAT gateway charges by the GB, a gateway endpoint does not: see `aws ec2 describe-vpc-endpoints`, or the route"
    " table of the subnet"
)


def endpoint_check(endpoint: Endpoint) -> Check:
    """Whether it can be connected to."""
    return Check("endpoint", lambda: _endpoint(endpoint))


async def _endpoint(endpoint: Endpoint) -> Finding:
    reached = await endpoint.reach()
    said = f"{endpoint.url}, connected in {reached.seconds * 1000:.0f} ms"
    facts = {"url": endpoint.url, "addresses": list(reached.addresses)}
    here = all(ip_address(each).is_loopback for each in reached.addresses)
    if endpoint.url.startswith("http://") and not here:
        return warning(said, "content goes in the clear: use https", **facts)
    return ok(said, **facts)


def clock_check(endpoint: Endpoint, *, after: tuple[Check, ...]) -> Check:
    """Whether this machine's clock is right, by S3's."""
    return Check("clock", lambda: _clock(endpoint), after=after)


async def _clock(endpoint: Endpoint) -> Finding:
    date = await endpoint.date()
    if date is None:
        return unknown("this S3 does not tell what time it is")
    ahead = round(time.time() - date, 1)
    said = f"{abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} S3's"
    if abs(ahead) > MOST_SKEW_SECONDS:
        return failed(f"{said}, which refuses what is signed so", "set it (chrony)", seconds=ahead)
    if abs(ahead) > SKEW_SECONDS:
        return warning(said, "set it (chrony)", seconds=ahead)
    return ok("as S3's, to a second or two" if abs(ahead) < 2 else said, seconds=ahead)  # noqa: PLR2004  -- as it says


def signing_check(endpoint: Endpoint, *, after: tuple[Check, ...]) -> Check:
    """Whether S3 takes the keys, whatever it lets them do."""
    return Check("keys", lambda: _keys(endpoint), after=after)


async def _keys(endpoint: Endpoint) -> Finding:
    await endpoint.sign()
    return ok("S3 takes them")


def path_check(looked: Looked, endpoint: Endpoint, instance: Instance, *, after: tuple[Check, ...]) -> Check:
    """What a bucket's bytes come through."""
    return Check("path", lambda: _path(looked.bucket, endpoint, instance), looked.url, after)


async def _path(bucket: Bucket, endpoint: Endpoint, instance: Instance) -> Finding:
    host = await bucket.host()
    found = await endpoint.addresses(host)
    facts: dict[str, Any] = {"host": host, "addresses": list(found)}
    addresses = [ip_address(each) for each in found]
    if not endpoint.is_aws:
        return ok(f"straight to {host}" + (f" ({found[0]})" if found[0] != host else ""), **facts)
    if all(address.is_private for address in addresses):
        return ok(f"by an interface endpoint of the VPC: {host} is {found[0]}", **facts)
    on_ec2, public = await asyncio.gather(instance.metadata("instance-id"), instance.metadata("public-ipv4"))
    if on_ec2 is None:
        return unknown(f"{host} by its public addresses; this machine is not in EC2, as far as can be told", **facts)
    if public is not None:
        return unknown(
            f"{host} by its public addresses, with or without a gateway endpoint: this cannot be told from here."
            " Neither costs anything within a region",
            **facts,
        )
    return unknown(
        f"{host} by its public addresses, and this instance has none: by a gateway endpoint or a NAT gateway, which"
        " cannot be told from here",
        GATEWAY_HINT,
        **facts,
    )
