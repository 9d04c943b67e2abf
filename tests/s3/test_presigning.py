"""A signed URL gives what it is for, from the bucket's own host, and no longer than the keys in it live."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from yarl import URL

from bucketzip.embedded import EmbeddedS3
from bucketzip.errors import CredentialsExpired
from bucketzip.jobs.ports import Destination, Follow, Made
from bucketzip.s3.client import open_s3
from bucketzip.s3.credentials import CredentialKeeper
from bucketzip.s3.presigning import signed_url
from tests.bucket import Bucket
from tests.s3.test_credentials import Source

FOLLOW = Follow("GET", "attachment", 3600)
KEYS = ["a b+c%20%2F.zip", "\u00fc/\u4e2d \U0001f600.zip", "x=1&y?z#;.zip", "~'()*!@$,|.zip"]
MADE = Made(Destination("some-bucket", "out/a.zip"), "", "token")


async def signed(made: Made, follow: Follow = FOLLOW) -> str:
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=1) as s3:
        return await signed_url(s3, made, follow)


async def test_every_key_is_had_by_its_url(
    s3_server: EmbeddedS3, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    contents = {key: key.encode() for key in KEYS}
    await bucket.put_many(contents)
    async with (
        CredentialKeeper().running() as keeper,
        open_s3(keeper, max_connections=1) as s3,
        aiohttp.ClientSession() as http,
    ):
        for key, content in contents.items():
            made = Made(Destination(bucket.name, key), "", "token")
            url = await signed_url(s3, made, Follow("GET", 'attachment; filename="a b.zip"; x=1&y', 60))
            async with http.get(URL(url, encoded=True)) as answer:
                assert (answer.status, await answer.read()) == (200, content), key
                assert answer.headers["Content-Disposition"] == 'attachment; filename="a b.zip"; x=1&y'
            async with http.head(URL(url, encoded=True)) as answer:
                assert answer.status == 403, "it is for one method"


async def test_it_names_the_host_and_the_region_of_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "eu-west-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    url = urlsplit(await signed(MADE._replace(version_id="v 1")))
    query = parse_qs(url.query)
    assert (url.scheme, url.hostname, url.path) == ("https", "some-bucket.s3.eu-west-1.amazonaws.com", "/out/a.zip")
    assert query["X-Amz-Credential"][0].endswith("/eu-west-1/s3/aws4_request")
    assert query["versionId"] == ["v 1"]
    assert query["X-Amz-Expires"] == ["3600"]
    assert "X-Amz-Security-Token" not in query


async def test_it_ends_with_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(tmp_path, monkeypatch)
    source.give(timedelta(minutes=20))
    query = parse_qs(urlsplit(await signed(MADE)).query)
    assert 0 < int(query["X-Amz-Expires"][0]) <= 20 * 60
    assert query["X-Amz-Security-Token"] == ["token1"]
    async with CredentialKeeper().running() as keeper, open_s3(keeper, max_connections=1) as s3:
        keeper.expire_at = 1.0  # they could not be renewed
        with pytest.raises(CredentialsExpired):
            await signed_url(s3, MADE, FOLLOW)
