"""The harness's own S3 client: it fills SeaweedFS and signs the bare proxy's URLs, both outside every measurement."""

from typing import Any

import botocore.session
from botocore.config import Config

from bench.origins.base import Origin

#: As many uploads as run at once.
CONNECTIONS = 8


def s3_client(origin: Origin) -> Any:
    """For the origin or a proxy of it; botocore makes its methods at run time, so they have no types."""
    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=origin.endpoint,
        region_name="us-east-1",
        aws_access_key_id=origin.access_key,
        aws_secret_access_key=origin.secret_key,
        verify=str(origin.authority) if origin.authority else None,
        config=Config(max_pool_connections=CONNECTIONS, signature_version="s3v4", s3={"addressing_style": "path"}),
    )
