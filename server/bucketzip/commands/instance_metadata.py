"""What EC2 tells an instance about itself, by version 2 of its metadata service; credentials are botocore's work."""

from http.client import HTTPConnection

HOST = "169.254.169.254"
ANSWER_SECONDS = 5.0


def instance_metadata(path: str) -> str:
    """As `instance_metadata("placement/region")`; raises OSError and HTTPException, where this is not EC2 too."""
    token = _ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return _ask("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": token})


def _ask(method: str, path: str, headers: dict[str, str]) -> str:
    connection = HTTPConnection(HOST, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:  # noqa: PLR2004  -- OK
            raise OSError(f"the instance metadata service answers {answer.status} to {method} {path}")
        return text
    finally:
        connection.close()
