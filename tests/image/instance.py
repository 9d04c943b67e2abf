"""An instance of the image: a machine, and around it what EC2 and S3 are for it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import requests
from botocore.config import Config

from bucketzip.embedded import HOST, EmbeddedS3
from tests.faults.imds import InstanceMetadata, RoleCredentials
from tests.image import trees
from tests.image.bake import Baked, mirrored
from tests.image.container import Container, booted
from tests.image.network import AROUND, LINK_LOCAL, MACHINE, Network, relay, vpc

BUCKET = "demo"
ANSWER_SECONDS = 180
QUICK = """
# A machine of this test is watched more closely than one of a customer.
[Service]
WatchdogSec=12s
"""


class Instance:
    """`machine` is what is booted now; everything in `tree` outlives it."""

    machine: Container

    def __init__(
        self,
        name: str,
        *,
        tree: Path,
        inside: Network,
        around: Network,
        s3: EmbeddedS3,
        imds: InstanceMetadata,
        binds: dict[Path, str],
    ) -> None:
        self.name = name
        self.tree = tree
        self.around = around
        self._inside = inside
        self.s3 = s3
        self.imds = imds
        self._binds = binds
        self._power = ExitStack()
        self._token = ""

    def boot(self) -> None:
        """Return when everything runs."""
        self.machine = self._power.enter_context(booted(self.tree, self.name, self._inside, binds=self._binds))
        self.machine.wait_until_running()
        self._token = self.machine.run("bucketzip user token")

    def power_off(self) -> None:
        self._power.close()

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """As a client in the VPC does, on the appliance's port, with the first user's token."""
        url = path if path.startswith("http") else f"http://{MACHINE}{path}"
        with self.around.entered():
            headers = {"Authorization": f"Bearer {self._token}"}
            return requests.request(method, url, headers=headers, timeout=ANSWER_SECONDS, **more)

    def bucket(self) -> Any:
        """A client of S3 with other keys than the instance's, as its owner has; used inside `around.entered()`."""
        return boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint_url,
            region_name=self.s3.region,
            aws_access_key_id=self.s3.access_key,
            aws_secret_access_key=self.s3.secret_key,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def put(self, key: str, data: bytes) -> None:
        """Into the bucket."""
        with self.around.entered():
            self.bucket().put_object(Bucket=BUCKET, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        """From there."""
        with self.around.entered():
            content: bytes = self.bucket().get_object(Bucket=BUCKET, Key=key)["Body"].read()
            return content


@contextmanager
def launched(name: str, image: Baked, home: Path) -> Iterator[Instance]:
    """One more of the image, booted."""
    with ExitStack() as stack:
        inside, around = stack.enter_context(vpc(name))
        with around.entered():
            s3 = stack.enter_context(EmbeddedS3(bucket=BUCKET, data_dir=home / "s3"))
        port = urlsplit(s3.endpoint_url).port or 0
        stack.enter_context(relay(around, (AROUND[0], port), (HOST, port), around))
        # An empty token: SeaweedFS knows no sessions. Keys with tokens are in tests/s3/test_credentials.py.
        imds = InstanceMetadata(host=LINK_LOCAL, port=80)
        imds.credentials = RoleCredentials(access_key=s3.access_key, secret_key=s3.secret_key, token="")
        stack.enter_context(answering(imds, around))
        tree = stack.enter_context(trees.over(*image.layers, home=home))
        with (tree / "etc/bucketzip/bucketzip.env").open("a") as settings:
            settings.write(f"AWS_ENDPOINT_URL_S3=http://{AROUND[0]}:{port}\nBUCKETZIP_TLS_SELF_SIGNED=false\n")
        for service in ("bucketzip@.service", "bucketzip-worker.service"):
            (tree / f"etc/systemd/system/{service}.d/quick.conf").write_text(QUICK)
        binds = stack.enter_context(mirrored(around, home, *AROUND[1:]))
        instance = Instance(name, tree=tree, inside=inside, around=around, s3=s3, imds=imds, binds=binds)
        stack.callback(instance.power_off)
        instance.boot()
        yield instance


@contextmanager
def answering(imds: InstanceMetadata, around: Network) -> Iterator[None]:
    """In a loop of its own: what asks it is not Python's."""
    loop, ready, ending = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with imds:
            ready.set()
            await ending.wait()

    def work() -> None:
        with around.entered(), asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(60), "the metadata service does not start"
        yield
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
