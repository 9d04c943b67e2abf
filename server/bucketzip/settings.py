"""Every setting: BUCKETZIP_* in the environment, and an option of the same name on the command line.

Built once at start and passed down; the core takes plain numbers, never `Settings`. AWS's own variables and files
(AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_S3, ...) are botocore's and work as everywhere.
"""

import os
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bucketzip.networks import Network, parse_networks

PREFIX = "BUCKETZIP_"
MIB = 1 << 20
LEAST_MEMORY_BYTES = 16 * MIB
"""Of one process: with less, hardly a download would be admitted."""


class Settings(BaseSettings):
    """All of them, with units, bounds and defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    tls_certificate: str = Field(
        "", description="PEM file of a certificate and its chain: HTTPS instead of HTTP. Read again when it changes."
    )
    tls_key: str = Field("", description="PEM file of its key, not encrypted.")
    tls_self_signed: bool = Field(
        default=False, description="HTTPS with a certificate that this machine makes and signs itself."
    )
    run_dir: str = Field(
        "",
        description="Directory for the sockets by which processes of this machine show each other's metrics: any then "
        "tells those of all. Made if it is not there.",
    )
    process_name: str = Field(
        "", pattern=r"^[\w.@-]{0,40}$", description="What metrics call this process; else its command and number."
    )
    state_dir: Path = Field(
        Path("bucketzip-state"), description="Directory for links and manifests. Made if it is not there."
    )
    secret_parameter: str = Field(
        "",
        pattern=r"^(/[\w./-]+)?$",
        description="Parameter of AWS Systems Manager that `bucketzip firstboot` puts the first user's key and secret "
        "into, encrypted; none leaves them to `bucketzip user show-initial`.",
    )
    state_volume: str = Field(
        "",
        pattern=r"^(vol-[0-9a-f]+)?$",
        description="EBS volume that `bucketzip attach-state` mounts on state_dir; none leaves it on the root volume.",
    )
    public_url: str = Field(
        "",
        description="How users reach this server, as https://zip.example.com; else links have the request's address.",
    )
    trusted_cidrs: str = Field(
        "", description="Networks whose machines need no token, as 10.0.0.0/8,fd00::/8; what they make is nobody's."
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="A token for GET /metrics alone, for Prometheus on another machine."
    )
    client_read_seconds: float = Field(
        60, ge=1, le=3600, description="How long a client may take to send a request's head, and then its body."
    )
    memory_bytes: int = Field(
        128 * MIB,
        ge=LEAST_MEMORY_BYTES,
        description="Bytes in flight and buffered, for all downloads of this machine together.",
    )
    processes: int = Field(1, ge=1, le=256, description="Server processes on this machine, which share memory_bytes.")
    s3_connections: int = Field(64, ge=1, le=1024, description="Connections to S3 for ranged GETs, in each process.")
    s3_range_bytes: int = Field(
        8 * MIB, ge=MIB, le=64 * MIB, description="Bytes asked for in one ranged GET of a large object."
    )
    s3_tries: int = Field(
        8, ge=1, le=100, description="Failures in a row, without a byte of progress, after which a read is given up."
    )
    s3_stall_seconds: float = Field(
        10, ge=1, le=600, description="A connection to S3 that brings nothing for so long is replaced."
    )
    pin_versions: bool = Field(
        default=True,
        description="Pin objects by their versions where the bucket keeps them and the role may list and read them.",
    )
    scratch: str = Field(
        "auto",
        description="Where S3 computes checksums, by copies that are thrown away: auto (the bucket of the object, "
        "where the role may write), s3://bucket/prefix/, or off.",
    )
    scratch_bytes: int = Field(
        2 << 30,
        ge=0,
        description="Most bytes of one bucket that S3 is asked to copy for their checksums before a link is ready.",
    )
    s3_slow_down_seconds: float = Field(
        120, ge=0, le=3600, description="How long S3 may answer SlowDown to a read before it is given up."
    )
    s3_hedging: float = Field(
        0.03, ge=0, le=0.2, description="Second requests for what is late, as a share of all ranged GETs; 0 for none."
    )
    client_stall_seconds: float = Field(
        60, ge=1, le=3600, description="A client that takes nothing for so long is let go."
    )
    planning_wait_seconds: float = Field(
        20,
        ge=0,
        le=300,
        description="How long POST /downloads and a link wait for planning before they answer without.",
    )
    most_entries: int = Field(
        2_000_000, ge=1, description="Entries of one archive; planning takes about 300 bytes of memory for each."
    )
    plannings_at_once: int = Field(
        16, ge=1, le=1000, description="Downloads planned at a time, in each process; one more is asked to come again."
    )
    downloads_at_once: int = Field(
        0, ge=0, description="Downloads sent at a time, in each process; 0 for as many as memory_bytes allows."
    )
    downloads_per_user: int = Field(0, ge=0, description="Of them, those of links that one user made; 0 for no limit.")
    queued_per_user: int = Field(
        1000, ge=1, description="Archives to be written into buckets that may wait for one user."
    )
    cors_origins: str = Field(
        "",
        description="Web pages that may call this API: their origins, as https://app.example.com, with commas between, "
        "or * for all.",
    )
    manifests_bytes: int = Field(
        4096 * MIB, ge=MIB, description="Space for planned archives in state_dir: about 200 bytes an entry."
    )
    run_jobs: bool = Field(
        default=True,
        description="Run the archives that are to be written into buckets; one process of this machine does at a time.",
    )
    job_patience_seconds: float = Field(
        3600, ge=1, le=7 * 86400, description="How long such an archive is tried on when nothing at all goes well."
    )
    part_bytes: int = Field(
        64 * MIB,
        ge=64 * MIB,
        le=2048 * MIB,
        description="Longest part of such an archive that is made here, in memory, two at once. S3 takes 10,000 parts: "
        "64 MiB is enough for 625 GiB that S3 cannot copy itself.",
    )
    compressed_part_bytes: int = Field(
        16 * MIB,
        ge=5 * MIB,
        le=2048 * MIB,
        description="Length of the parts of a compressed archive in a bucket, four at once in memory; longer ones, up "
        "to BUCKETZIP_PART_BYTES, where 10,000 of these would not be enough.",
    )
    jobs_kept_seconds: int = Field(
        30 * 86400,
        ge=60,
        le=10 * 365 * 86400,
        description="How long archives written into buckets are still listed once they are done.",
    )
    resume_seconds: int = Field(
        86400,
        ge=60,
        le=30 * 86400,
        description="How long an archive whose credentials have expired waits for others, with its upload.",
    )
    allow_endpoints: str = Field(
        "",
        description="Endpoints that may come with the keys of a request: hosts or globs of hosts, with commas between.",
    )
    known_buckets: str = Field(
        "",
        description="Buckets that are offered for browsing though the role may not list them, with commas between.",
    )
    callback_networks: str = Field(
        "",
        description="Private networks that callbacks may reach, as 10.1.0.0/16,fd12::/48; else public addresses only.",
    )
    smtp_host: str = Field("", description="Server that mail is handed to; without one no mail is sent.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection to it is secured: from its start (tls), a little later, or not."
    )
    smtp_user: str = Field("", description="Who this server is to it; needs a password and TLS.")
    smtp_password: SecretStr = Field(
        SecretStr(""), description="The password; give it by the environment, where no list of processes shows it."
    )
    mail_from: str = Field("", description="Who mail is from: zip@example.com, or Archives <zip@example.com>.")
    drain_seconds: float = Field(30, ge=0, le=86400, description="How long running downloads may go on after SIGTERM.")
    log_format: Literal["text", "json"] = Field(
        "text", description="One line an event: for people, or one JSON object."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")

    @property
    def run_directory(self) -> Path | None:
        """`run_dir`, where there is one."""
        return Path(self.run_dir) if self.run_dir else None

    def process(self, command: str) -> str:
        """What metrics call this process, which runs the command."""
        return self.process_name or f"{command}-{os.getpid()}"

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """What trusted_cidrs names."""
        return parse_networks(self.trusted_cidrs)

    @field_validator("trusted_cidrs")
    @classmethod
    def _trusted_cidrs(cls, cidrs: str) -> str:
        try:
            parse_networks(cidrs)
        except ValueError as error:
            raise ValueError(f"is written 10.0.0.0/8,fd00::/8 ({error})") from error
        return cidrs

    @property
    def allowed_endpoints(self) -> tuple[str, ...]:
        """The hosts and globs of `allow_endpoints`."""
        return tuple(each.strip() for each in self.allow_endpoints.split(",") if each.strip())

    @property
    def known_bucket_names(self) -> tuple[str, ...]:
        """What `known_buckets` names."""
        return tuple(each.strip() for each in self.known_buckets.split(",") if each.strip())

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, url: str) -> str:
        url = url.rstrip("/")
        if url and not re.fullmatch(r"https?://[^/?#\s]+", url):
            raise ValueError("is written https://zip.example.com, without a path")
        return url

    @field_validator("cors_origins")
    @classmethod
    def _cors_origins(cls, origins: str) -> str:
        each = [origin.strip() for origin in origins.split(",") if origin.strip()]
        if each != ["*"] and not all(re.fullmatch(r"https?://[a-z0-9.:\[\]-]+", origin) for origin in each):
            raise ValueError("is *, or origins such as https://app.example.com (in lower case, no path), with commas")
        return ",".join(each)

    @field_validator("tls_self_signed")
    @classmethod
    def _tls(cls, self_signed: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  -- pydantic calls it
        certificate, key = (bool(info.data.get(name)) for name in ("tls_certificate", "tls_key"))
        if certificate != key:
            raise ValueError("tls_certificate and tls_key are given together")
        if certificate and self_signed:
            raise ValueError("there is a tls_certificate: it is one or the other")
        return self_signed

    @field_validator("scratch")
    @classmethod
    def _scratch(cls, place: str) -> str:
        if place not in {"auto", "off"} and not re.fullmatch(r"s3://[^/\s]+/(?:.*/)?", place):
            raise ValueError("is auto, off, or written s3://bucket/prefix/")
        return place

    @field_validator("callback_networks")
    @classmethod
    def _callback_networks(cls, networks: str) -> str:
        try:
            parse_networks(networks)
        except ValueError:
            raise ValueError("is written 10.1.0.0/16,fd12::/48, with no bits set behind a prefix") from None
        return networks

    @field_validator("smtp_user")
    @classmethod
    def _smtp_user(cls, user: str, info: ValidationInfo) -> str:
        if user and info.data.get("smtp_tls") == "none":
            raise ValueError("would be sent in the clear, with its password: set smtp_tls")
        return user

    @field_validator("mail_from")
    @classmethod
    def _mail_from(cls, sender: str) -> str:
        address = r"[^@\s<>,;:()\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
        if sender and not re.fullmatch(rf"{address}|[^<>,;:()\"@\x00-\x1f\x7f]+ <{address}>", sender):
            raise ValueError("is written zip@example.com, or Archives <zip@example.com>")
        return sender

    @field_validator("processes")
    @classmethod
    def _processes(cls, processes: int, info: ValidationInfo) -> int:
        if info.data.get("memory_bytes", LEAST_MEMORY_BYTES * processes) < LEAST_MEMORY_BYTES * processes:
            raise ValueError(f"memory_bytes must be at least {LEAST_MEMORY_BYTES} for each process")
        return processes


def misspelt() -> list[str]:
    """BUCKETZIP_* variables that are no setting: pydantic-settings does not notice them."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
