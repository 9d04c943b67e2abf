"""What EC2 tells an instance about itself, by version 2 of its metadata service; credentials are botocore's work."""

import asyncio
import os
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

HOST = "169.254.169.254"
ANSWER_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""Where this may well not be EC2."""


def instance_metadata(path: str, seconds: float = ANSWER_SECONDS) -> str:
    """As `instance_metadata("placement/region")`; raises OSError and HTTPException, where this is not EC2 too."""
    token = _ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, seconds)
    return _ask("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": token}, seconds)


class Instance:
    """Implements `doctor.ports.Instance`."""

    async def metadata(self, path: str) -> str | None:
        """By the port."""
        if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            return None
        try:
            return await asyncio.to_thread(instance_metadata, path, LOOK_SECONDS)
        except (OSError, HTTPException):
            return None


def _ask(method: str, path: str, headers: dict[str, str], seconds: float) -> str:
    # The variable is the one of AWS's own programs.
    host = urlsplit(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "")).netloc or HOST
    connection = HTTPConnection(host, timeout=seconds)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:  # noqa: PLR2004  -- OK
            raise OSError(f"the instance metadata service answers {answer.status} to {method} {path}")
        return text
    finally:
        connection.close()
