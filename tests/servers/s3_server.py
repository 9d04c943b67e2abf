"""What a test needs to know of an S3 server, whichever it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class S3Server(Protocol):
    """`bucketzip.embedded.EmbeddedS3` is one, and so is each server of this package."""

    @property
    def endpoint_url(self) -> str: ...
    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def ca_file(self) -> Path | None: ...

    def environment(self) -> dict[str, str]:
        """What a child process needs in its environment to use this server and nothing else of AWS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    endpoint_url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    ca_file: Path | None = None

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
