"""What a contender must know to read from an origin."""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Origin:
    """An S3 endpoint on loopback, path-style, with the process whose CPU time is its cost."""

    name: str
    endpoint: str
    pid: int
    access_key: str
    secret_key: str
    authority: Path | None = None

    @property
    def title(self) -> str:
        """Name and transport."""
        return f"{self.name}, TLS" if self.authority else self.name

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.endpoint)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"an origin's endpoint names host and port: {self.endpoint}")
        return parts.hostname, parts.port

    def behind(self, port: int) -> "Origin":
        """The same origin reached through a proxy on another port."""
        scheme = urlsplit(self.endpoint).scheme
        return replace(self, endpoint=f"{scheme}://127.0.0.1:{port}")

    def environment(self) -> dict[str, str]:
        """The AWS_* variables that lead boto3, the JavaScript SDK and bucketzip here."""
        variables = {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if self.authority:
            variables["AWS_CA_BUNDLE"] = str(self.authority)
            variables["NODE_EXTRA_CA_CERTS"] = str(self.authority)
        return variables
