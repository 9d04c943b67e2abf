"""The harness's own S3 client: it fills SeaweedFS and signs the bare proxy's URLs, both outside every measurement."""

from typing import Any, Literal

import botocore.session
from botocore.config import Config

from bench.origins.base import Origin

#: As many uploads as run at once.
CONNECTIONS = 8


def s3_client(origin: Origin, *, checksums: Literal["when_supported", "when_required"] = "when_supported") -> Any:
    """For the origin or a proxy of it; botocore makes its methods at run time, so they have no types.

    With `checksums="when_required"` an upload has one only where it asks for one.
    """
    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=origin.endpoint,
        region_name="us-east-1",
        aws_access_key_id=origin.access_key,
        aws_secret_access_key=origin.secret_key,
        verify=str(origin.authority) if origin.authority else None,
        config=Config(
            max_pool_connections=CONNECTIONS,
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation=checksums,
        ),
    )
