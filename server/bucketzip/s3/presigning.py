"""URLs that are signed, so that who has one needs no keys: for one object, one method and some time.

botocore's own `generate_presigned_url` names a bucket's global host and the client's region; so its signer is used here
for the address to which ranged GETs of the bucket go.
"""

import time
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from bucketzip.errors import CredentialsExpired
from bucketzip.jobs.ports import Follow, Made
from bucketzip.s3.client import S3


async def signed_url(s3: S3, made: Made, follow: Follow) -> str:
    """The URL; it works no longer than the keys that it is signed with, as far as it is known when these expire."""
    route = await s3.route(made.destination.bucket)
    keys, expire_at = s3.keeper.current(), s3.keeper.expire_at
    seconds = follow.seconds if expire_at is None else min(follow.seconds, int(expire_at - time.time()))
    if seconds <= 0:
        raise CredentialsExpired
    asked = {"response-content-disposition": follow.disposition}
    if made.version_id:
        asked["versionId"] = made.version_id
    path = f"{route.path_prefix}/{quote(made.destination.key, safe='/~')}"
    request = AWSRequest(
        follow.method,
        f"{'https' if route.tls else 'http'}://{route.host_header}{path}?{urlencode(asked, quote_via=quote)}",
    )
    credentials = ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token)
    S3SigV4QueryAuth(credentials, route.service, route.region, seconds).add_auth(request)
    return str(request.url)
