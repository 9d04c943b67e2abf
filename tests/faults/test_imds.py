"""The stand-in for instance metadata is what botocore takes for EC2, and is as strict about tokens."""

from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from aiobotocore.session import AioSession

from tests.faults.imds import TOKEN, TOKEN_TTL, InstanceMetadata, RoleCredentials


async def test_botocore_takes_it_for_ec2(monkeypatch: pytest.MonkeyPatch) -> None:
    async with InstanceMetadata() as imds:
        for name, value in imds.environment().items():
            monkeypatch.setenv(name, value)
        credentials = await AioSession().get_credentials()
        assert isinstance(credentials, AioRefreshableCredentials)
        frozen = await credentials.get_frozen_credentials()
        given = imds.credentials
        assert (frozen.access_key, frozen.secret_key, frozen.token) == (given.access_key, given.secret_key, given.token)
        assert imds.requests[imds.credentials_path] == 1
        rotated = imds.rotate()
        fresh = await AioSession().get_credentials()
        assert fresh is not None
        assert (await fresh.get_frozen_credentials()).token == rotated.token


async def test_nothing_without_a_token() -> None:
    async with InstanceMetadata(region="eu-west-3") as imds, aiohttp.ClientSession(imds.endpoint_url) as http:

        async def status_of(method: str, path: str, **headers: str) -> int:
            async with http.request(method, path, headers=headers) as response:
                return response.status

        assert await status_of("GET", imds.roles_path) == 401
        assert await status_of("GET", imds.roles_path, **{TOKEN: "made up"}) == 401
        assert await status_of("PUT", imds.token_path) == 400
        assert await status_of("PUT", imds.token_path, **{TOKEN_TTL: "21601"}) == 400
        assert await status_of("PUT", imds.token_path, **{TOKEN_TTL: "60", "X-Forwarded-For": "192.0.2.1"}) == 403
        async with http.put(imds.token_path, headers={TOKEN_TTL: "60"}) as response:
            token = {TOKEN: await response.text()}
        async with http.get(imds.region_path, headers=token) as response:
            assert await response.text() == "eu-west-3"
        async with http.get(imds.identity_path, headers=token) as response:
            assert (await response.json())["region"] == "eu-west-3"
        imds.failing[imds.roles_path] = 500
        assert await status_of("GET", imds.roles_path, **token) == 500
        imds.failing.clear()
        assert await status_of("GET", imds.roles_path, **token) == 200
        imds.role = None
        assert await status_of("GET", imds.roles_path, **token) == 404
        imds.forget_tokens()
        assert await status_of("GET", imds.roles_path, **token) == 401


def test_credentials_last_as_long_as_those_of_ec2() -> None:
    left = RoleCredentials().expires - datetime.now(UTC)
    assert timedelta(hours=5) < left <= timedelta(hours=6)
